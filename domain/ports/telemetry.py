"""Metrics and log events of every process: the names of the metrics, and the port through which both are written.

Each name is defined here once; `runtime` maps them to Prometheus series and log lines. Durations are in seconds.
"""

from contextvars import ContextVar
from enum import StrEnum
from typing import Protocol

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the HTTP request that the present task works for. Each log line holds it. A task that works for several
requests starts with an empty context."""


class Metric(StrEnum):
    """Every series, without the `fillwire_` prefix and Prometheus' unit suffixes; labels are in
    `runtime.observability.metrics`."""

    # API
    OPERATION_SECONDS = "operation_seconds"  # label: type
    UNEXPECTED_ERRORS = "unexpected_errors"
    SOCKETS = "sockets"
    SOCKETS_REFUSED = "sockets_refused"  # label: limit
    SOCKETS_CLOSED = "sockets_closed"  # by this side; label: reason
    TOKENS_REVOKED = "tokens_revoked"  # revocations by operators
    REVOCATIONS = "revocations_in_force"
    CONNECTIONS_REFUSED = "connections_refused"
    REQUESTS_ABANDONED = "requests_abandoned"
    REQUESTS_MALFORMED = "requests_malformed"
    REQUESTS_REFUSED = "requests_refused"  # label: limit
    TOKEN_KEYS = "token_keys"  # noqa: S105 - a name; keys of the tokens' issuer, in force
    TOKEN_KEYS_SKIPPED = "token_keys_skipped"  # noqa: S105 - a name
    TOKEN_KEYS_AGE_SECONDS = "token_keys_age_seconds"  # noqa: S105 - a name
    # Store
    ORDERS_STORED = "orders_stored"
    ORDERS_REPLAYED = "orders_replayed"
    ORDERS_DENIED = "orders_denied"  # label: code
    ORDERS_REFUSED = "orders_refused"  # label: cause
    STORE_BATCH_SIZE = "store_batch_size"
    TRADING_HALTED = "trading_halted"  # open halts
    # Submit
    SUBMISSION_ATTEMPTS = "submission_attempts"  # label: outcome
    ORDERS_PLACED = "orders_placed"
    SUBMISSIONS_RETRIED = "submissions_retried"
    ORDERS_IN_DOUBT = "orders_in_doubt"
    ORDERS_FAILED = "orders_failed"
    ORDERS_REJECTED = "orders_rejected"
    ORDERS_REVIVED = "orders_revived"
    VENUE_CIRCUIT = "venue_circuit_state"  # 0 closed, 1 probing, 2 open
    VENUE_CIRCUIT_OPENED = "venue_circuit_opened"
    VENUE_PAUSES = "venue_pauses"
    RATE_LIMIT_LEFT = "rate_limit_left"  # requests left in the venue's window
    RATE_LIMIT_WAIT_SECONDS = "rate_limit_wait_seconds"  # label: priority
    RATE_LIMIT_HELD_BACK = "rate_limit_held_back"  # label: priority
    CANCEL_ATTEMPTS = "cancel_attempts"  # label: outcome
    STORED_TO_PLACED_SECONDS = "stored_to_placed_seconds"
    OLDEST_DUE_SECONDS = "oldest_due_seconds"  # how overdue the most overdue order is
    JOB_SECONDS = "job_seconds"  # label: job
    JOB_QUEUE_FAILURES = "job_queue_failures"  # label: reason
    WAKE_UPS_FAILED = "wake_ups_failed"
    JOBS_REFUSED = "jobs_refused"
    SWEPT_ORDERS = "swept_orders"
    RECONCILED_ORDERS = "reconciled_orders"
    # Record
    REPORTS_RECORDED = "reports_recorded"
    REPORTS_UNREADABLE = "reports_unreadable"
    REPORTS_EXTERNAL = "reports_external"
    ORDERS_EXTERNAL = "orders_external"
    VENUE_VALUES_UNKNOWN = "venue_values_unknown"  # label: field
    RECORD_BATCH_SIZE = "record_batch_size"
    RECORD_SECONDS = "record_seconds"
    VENUE_LAG_SECONDS = "venue_lag_seconds"
    CLOCK_SKEW_SECONDS = "clock_skew_seconds"  # this host's clock minus the venue's, as far as it is proved
    INGEST_LEADER = "ingest_leader"
    STREAM_CONNECTED = "stream_connected"
    STREAM_RECONNECTS = "stream_reconnects"
    CATCH_UPS = "catch_ups"  # label: cause
    FILL_REPAIRS = "fill_repairs"
    ANOMALIES = "anomalies"  # label: kind
    # Deliver
    CHANGES_PUBLISHED = "changes_published"
    PUBLISHES_FAILED = "publishes_failed"
    SUBSCRIBERS = "subscribers"
    DELIVERIES = "deliveries"
    REREADS = "rereads"  # label: cause
    MESSAGES_REFUSED = "messages_refused"  # label: cause
    POSITIONS_AHEAD = "positions_ahead"  # label: cause
    # Audit
    AUDIT_SEALED = "audit_sealed"
    AUDIT_SEAL_LAG_SECONDS = "audit_seal_lag_seconds"
    # Alerts
    ALERTS = "alerts"  # label: kind
    ALERT_MESSAGES = "alert_messages"  # label: outcome


class Telemetry(Protocol):
    """Metrics and log events. No call waits or raises."""

    def count(self, metric: Metric, amount: int = 1, **labels: str) -> None:
        """Add to a counter."""

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add a value to a histogram; seconds or items, according to the metric's name."""

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""

    def info(self, event: str, **fields: object) -> None:
        """Log a normal event, with its fields."""

    def warning(self, event: str, **fields: object) -> None:
        """Log a failure that is handled without a person; `next` describes what follows."""

    def error(self, event: str, **fields: object) -> None:
        """Log a failure that needs a person; `next` describes what to do."""
