"""`python -m runtime alerts test`: send a test message to every channel of ALERT_URLS and print which sent it."""

import asyncio
import sys
from collections.abc import Sequence

from runtime.alerts.channels import Channel, open_channels
from runtime.alerts.grouping import AlertMessage
from runtime.settings import Settings, SettingsError, load_settings

EXIT_CHANNEL_FAILED = 1
EXIT_BAD_SETTINGS = 2
NO_CHANNELS = "ALERT_URLS is not set, so no alert is sent. It holds addresses of apprise: see docs/operations.md."
TEST = AlertMessage(
    title="Fillwire: test of alerts",
    body="This is a test. Nothing happened, and there is nothing to do.",
    kind="test",
)


def test() -> int:
    """Send and print; exit code 1 when a channel failed, 2 when ALERT_URLS cannot be used."""
    try:
        settings = load_settings()
        channels = _configured(settings)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's output
        return EXIT_BAD_SETTINGS
    reasons = asyncio.run(_send_all(channels, settings))
    for channel, reason in zip(channels, reasons, strict=True):
        print(f"channel {channel.name}: {'sent' if reason is None else f'FAILED: {reason}'}")  # noqa: T201 - as above
    return EXIT_CHANNEL_FAILED if any(reasons) else 0


def _configured(settings: Settings) -> Sequence[Channel]:
    if not settings.alert_addresses:
        raise SettingsError(NO_CHANNELS)
    return open_channels(settings.alert_addresses)


async def _send_all(channels: Sequence[Channel], settings: Settings) -> Sequence[str | None]:
    sending = (channel.send(TEST, within_seconds=settings.alert_timeout_seconds) for channel in channels)
    return await asyncio.gather(*sending)
