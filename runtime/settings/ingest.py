"""Ingest: buffers, reconnects, the leader's lease, reports of unknown orders, catch-ups."""

from typing import Self

from pydantic import Field, model_validator

from runtime.settings.group import Count, Seconds, SettingsGroup


class IngestSettings(SettingsGroup):
    """How the execution stream is followed."""

    ingest_buffer_reports_max: Count = 200_000
    ingest_batch_reports_max: Count = 500
    ingest_batch_within_ms: Seconds = Field(
        5.0, description="How long reports gather at most while a batch is recorded; else they gather for no time"
    )
    ingest_retry_seconds: Seconds = 0.5
    stream_reconnect_seconds: Seconds = 0.2
    stream_reconnect_max_seconds: Seconds = 3.0
    stream_session_min_seconds: Seconds = Field(5.0, description="A shorter session makes the next pause longer")
    stream_silence_seconds: Seconds = Field(
        30.0, description="Silence with open orders after which the exchange is queried"
    )
    ingest_lease_seconds: Seconds = Field(5.0, description="How long a leader that died keeps the others from leading")
    ingest_lease_renew_seconds: Seconds = 1.0
    ingest_standby_ask_seconds: Seconds = Field(0.5, description="How often a standby process tries to lead")
    unknown_order_wait_seconds: Seconds = Field(30.0, description="How long a report waits for its order to be stored")
    unknown_order_reports_max: Count = 10_000
    unknown_order_retry_seconds: Seconds = 0.5
    unresolved_wait_seconds: Seconds = Field(
        600.0, description="How long a report waits for the look-up of an order that it does not name by our id"
    )
    unresolved_reports_max: Count = 10_000
    catch_up_every_seconds: Seconds = 60.0
    catch_up_unheard_seconds: Seconds = Field(
        5.0, description="How often the exchange is queried while there is no stream"
    )
    catch_up_pause_seconds: Seconds = 1.0
    fills_missing_alert_seconds: Seconds = Field(
        120.0, description="How long an order may lack what the exchange counts as filled before people are alerted"
    )
    catch_up_overlap_seconds: Seconds = Field(60.0, description="How far each catch-up reaches back before the last")
    catch_up_closed_seconds: Seconds = Field(
        3_600.0, description="How old orders that are over may be to be compared after a connect"
    )
    catch_up_first_seconds: Seconds = Field(86_400.0, description="How far the very first catch-up reaches back")

    @model_validator(mode="after")
    def _leases_are_renewed_in_time(self) -> Self:
        if self.ingest_lease_seconds < 2 * self.ingest_lease_renew_seconds:
            raise ValueError("INGEST_LEASE_SECONDS must be at least twice INGEST_LEASE_RENEW_SECONDS")
        return self
