"""What a worker does: it submits orders and cancels to the venue, and runs jobs and loops."""

from datetime import timedelta

from pydantic import Field

from runtime.settings.group import Count, Seconds, SettingsGroup


class SubmissionSettings(SettingsGroup):
    """Attempts to submit and to cancel orders: their number, pauses and time-outs, and the circuit breaker."""

    placement_max_attempts: Count = Field(5, description="Attempts to place an order before it is FAILED")
    placement_backoff_seconds: Seconds = Field(0.5, description="Pause before the second attempt; doubled and jittered")
    placement_backoff_max_seconds: Seconds = 30.0
    placement_timeout_seconds: Seconds = Field(10.0, description="How long the exchange may take to answer")
    placement_settle_seconds: Seconds = Field(5.0, description="How long the exchange may hide a fresh order")
    placement_slots: Count = Field(128, description="Attempts that one worker makes at once")
    placement_max_age_seconds: Seconds | None = Field(None, description="Older orders are FAILED, not sent any more")
    placement_circuit_failures: Count = Field(20, description="Failures in a row that open the circuit of all workers")
    placement_circuit_open_seconds: Seconds = Field(5.0, description="Then one order is tried, and again each so often")
    cancel_retry_seconds: Seconds = 1.0
    cancel_confirm_seconds: Seconds = Field(5.0, description="How long the stream may take to confirm a cancel")
    cancel_pause_max_seconds: Seconds = Field(
        300.0, description="Longest pause before a cancel that the exchange leaves pending is looked at again"
    )

    @property
    def placement_lease(self) -> timedelta:
        """Return how long an attempt claims its order: twice the longest time of one look-up, one send and one more
        look-up, since nothing is sent in a lease's second half.
        """
        return timedelta(seconds=2 * 3 * self.placement_timeout_seconds)


class JobSettings(SettingsGroup):
    """SAQ jobs, the sweeper and the reconciler: how many at once, how often, and how late."""

    worker_jobs_at_once: Count = Field(64, description="SAQ jobs that one worker runs at once")
    worker_dequeue_timeout_seconds: Seconds = 2.0
    sweep_every_seconds: Seconds = 1.0
    sweep_overdue_seconds: Seconds = Field(2.5, description="How overdue an order is when the sweeper takes it over")
    reconcile_every_seconds: Seconds = 60.0
    reconcile_silent_seconds: Seconds = Field(30.0, description="Silence after which an open order is looked up")
    reconcile_pages_max: Count = Field(
        20, description="Pages of 500 open orders that one run reads; the next continues"
    )
    reconcile_look_ups_max: Count = Field(500, description="Look-ups in one run of the reconciler or of a catch-up")
    reconcile_look_ups_seconds: Seconds = Field(30.0, description="How long one run begins new look-ups")
    reconcile_look_up_pause_seconds: Seconds = Field(
        10.0, description="Pause before an order is looked up again that was looked up in vain; doubles"
    )
    reconcile_look_up_pause_max_seconds: Seconds = 300.0
    audit_seal_every_seconds: Seconds = Field(1.0, description="How often new changes are sealed in the hash chains")
    audit_seal_max_changes: Count = Field(10_000, description="Changes sealed in one round; the next continues")
    reconcile_lost_seconds: Seconds = Field(
        60.0, description="How long the exchange does not know an order that it accepted before an alert is logged"
    )
