"""Alerts: where they are sent, how often, and from when on a state is one."""

import re

from pydantic import Field, SecretStr

from runtime.settings.group import Count, Seconds, SettingsGroup

_BEFORE_ADDRESS = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://|$)")


class AlertSettings(SettingsGroup):
    """Channels, frequency and thresholds of alerts."""

    alert_urls: SecretStr | None = Field(None, description="Where alerts go: addresses of apprise, comma separated")
    alert_repeat_seconds: Seconds = Field(3_600.0, description="How long no second message of a kind is sent")
    alert_timeout_seconds: Seconds = Field(15.0, description="How long a channel may take for one message")
    alert_max_attempts: Count = Field(5, description="Attempts to send a message to one channel")
    alert_retry_seconds: Seconds = Field(2.0, description="Pause before the second attempt; doubles")
    alert_waiting_messages_max: Count = Field(100, description="Messages that may wait for one channel")
    alert_in_doubt_seconds: Seconds = Field(120.0, description="Age at which an order in doubt is an alert")
    alert_pending_seconds: Seconds = Field(120.0, description="Age at which an order not yet sent is an alert")
    alert_stream_down_seconds: Seconds = Field(30.0, description="How long the stream may be down before an alert")
    alert_clock_skew_seconds: Seconds = Field(5.0, description="Difference to the exchange's clock that is an alert")
    alert_check_every_seconds: Seconds = Field(15.0, description="How often a worker looks for such orders")

    @property
    def alert_addresses(self) -> tuple[str, ...]:
        """The addresses of ALERT_URLS, keys included. An address may hold commas: only one before `scheme://` parts."""
        given = self.alert_urls.get_secret_value() if self.alert_urls is not None else ""
        return tuple(part.strip() for part in _BEFORE_ADDRESS.split(given) if part.strip())
