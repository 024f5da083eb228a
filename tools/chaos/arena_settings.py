"""The settings of the processes of a run: short leases and back-off, pools for two cores."""

from collections.abc import Mapping

SETTINGS: Mapping[str, str] = {
    "LOG_FORMAT": "plain",
    "ALLOW_INSECURE": "crash-points",
    "LOG_LEVEL": "WARNING",
    "PLACEMENT_TIMEOUT_SECONDS": "1",  # The lease is six times that.
    "PLACEMENT_SETTLE_SECONDS": "1.5",  # The exchange hides orders for less.
    "PLACEMENT_MAX_ATTEMPTS": "8",
    "PLACEMENT_BACKOFF_SECONDS": "0.2",
    "PLACEMENT_BACKOFF_MAX_SECONDS": "1",
    "PLACEMENT_CIRCUIT_FAILURES": "60",  # So that a gateway's answers reach more than a few orders.
    "PLACEMENT_CIRCUIT_OPEN_SECONDS": "1",
    "CANCEL_RETRY_SECONDS": "0.5",
    "CANCEL_CONFIRM_SECONDS": "1.5",
    "CANCEL_PAUSE_MAX_SECONDS": "5",
    "SWEEP_EVERY_SECONDS": "0.5",
    "SWEEP_OVERDUE_SECONDS": "1",
    "RECONCILE_EVERY_SECONDS": "5",
    "RECONCILE_SILENT_SECONDS": "3",
    "RECONCILE_PAGES_MAX": "100",
    "RECONCILE_LOOK_UP_PAUSE_SECONDS": "0.5",
    "RECONCILE_LOOK_UP_PAUSE_MAX_SECONDS": "2",
    "RECONCILE_LOST_SECONDS": "5",
    "FILLS_MISSING_ALERT_SECONDS": "2",
    "CATCH_UP_CLOSED_SECONDS": "120",  # The exchange amends an execution within some seconds.
    "CATCH_UP_EVERY_SECONDS": "5",
    "CATCH_UP_OVERLAP_SECONDS": "5",
    "STREAM_RECONNECT_MAX_SECONDS": "2",
    "STREAM_SESSION_MIN_SECONDS": "1",
    "STOP_WITHIN_SECONDS": "4",
    "EXCHANGE_CONNECTIONS_MAX": "64",
    # Opening one costs some 60 ms of CPU, most of it the server's, and every fault that kills a process causes new
    # ones.
    "DATABASE_POOL_CONNECTIONS_MAX": "5",
    "WORKER_DEQUEUE_TIMEOUT_SECONDS": "1",
}
LEASE_SECONDS = 6 * float(SETTINGS["PLACEMENT_TIMEOUT_SECONDS"])

SETTINGS_WITHOUT_ID_CHECK: Mapping[str, str] = {"PLACEMENT_SETTLE_SECONDS": "4"}
"""Where the exchange does not check ids the settle time must exceed all that a submission can be late by: here the
1.5 s of a slow exchange, the 1 s for which it hides an order, and what an overloaded machine adds."""
