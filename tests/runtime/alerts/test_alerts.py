"""Alerts through a real webhook: each sent once, bursts as one, no delay by a failing channel, no secret in the log."""

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from runtime.alerts.alerter import STOP_WITHIN_SECONDS, open_alerts
from runtime.alerts.channels import open_channels
from runtime.alerts.kinds import ALERTS
from runtime.commands.alerts import TEST
from runtime.commands.alerts import test as send_test_messages
from runtime.observability.logs import configure_logs, get_logger
from runtime.observability.metrics import Metrics
from runtime.observability.telemetry import ProcessTelemetry
from runtime.settings import Settings, SettingsError
from tests.support.processes import eventually, running
from tests.support.webhook import Webhook, open_webhook

QUICK = {
    "alert_retry_seconds": 0.01,
    "alert_stream_down_seconds": 1e-9,
}
DEAD = "json://127.0.0.1:9/hooks/s3cret-t0ken"
MANY_EVENTS = 2_000
KEY = secrets.token_hex(32)


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    async with open_webhook() as webhook:
        yield webhook


@asynccontextmanager
async def _alerts(
    *addresses: str,
    redis_url: str | None = None,
    gather_seconds: float = 0.05,
    stop_within_seconds: float = STOP_WITHIN_SECONDS,
    **settings: object,
) -> AsyncIterator[ProcessTelemetry]:
    """Return the telemetry of a process that sends alerts to these addresses."""
    telemetry = ProcessTelemetry(Metrics(), get_logger())
    given = {**QUICK, "alert_urls": ",".join(addresses), "redis_url": redis_url, "broadcast_key": KEY, **settings}
    async with open_alerts(
        Settings.model_validate(given),
        telemetry=telemetry,
        process_name="worker",
        gather_seconds=gather_seconds,
        stop_within_seconds=stop_within_seconds,
    ):
        yield telemetry


def _messages(telemetry: ProcessTelemetry, outcome: str) -> float:
    labels = {"outcome": outcome}
    return telemetry.metrics.registry.get_sample_value("fillwire_alert_messages_total", labels) or 0.0


async def test_each_kind_of_alert_arrives_once(webhook: Webhook) -> None:
    async with _alerts(webhook.address) as telemetry:
        telemetry.warning("stream_lost")
        for event in ALERTS:
            for _ in range(3):
                telemetry.error(event, order_id="o-1", kind="OVERFILL")
        await eventually(lambda: len(webhook.messages) >= len(ALERTS), within_seconds=10)

    titles = [title.partition(" (")[0] for title in webhook.titles()]
    assert sorted(titles) == sorted(f"Fillwire: {kind.title}" for kind in ALERTS.values())
    counted = telemetry.metrics.registry.get_sample_value("fillwire_alerts_total", {"kind": "order_failed"})
    assert counted == 3


async def test_a_burst_arrives_as_one_message(webhook: Webhook) -> None:
    async with _alerts(webhook.address) as telemetry:
        for number in range(50):
            telemetry.error("order_failed", order_id=f"o-{number}")
        await eventually(lambda: webhook.messages, within_seconds=10)

    (message,) = webhook.messages
    assert message["title"] == "Fillwire: order FAILED (50 times)"
    assert "Which: o-0, o-1, o-2, o-3, o-4 and others (45 times)" in message["message"]
    assert message["type"] == "failure"


async def test_collected_wake_ups_are_sent_when_the_process_stops(webhook: Webhook) -> None:
    async with _alerts(webhook.address, gather_seconds=3600) as telemetry:
        telemetry.error("order_failed", order_id="o-1")

    assert webhook.titles() == ["Fillwire: order FAILED"]


async def test_two_processes_that_see_the_same_case_send_it_once(webhook: Webhook, redis_url: str) -> None:
    async with (
        _alerts(webhook.address, redis_url=redis_url) as one,
        _alerts(webhook.address, redis_url=redis_url) as other,
    ):
        for telemetry in (one, other):
            telemetry.error("order_in_doubt_too_long", order_id="o-1")
        other.error("order_failed", order_id="o-2")
        await eventually(lambda: len(webhook.messages) >= 2, within_seconds=10)

    assert sorted(webhook.titles()) == ["Fillwire: order FAILED", "Fillwire: order IN_DOUBT too long"]


async def test_what_another_process_did_not_name_follows_after_the_repeat_time(
    webhook: Webhook, redis_url: str
) -> None:
    async with (
        _alerts(webhook.address, redis_url=redis_url, alert_repeat_seconds=1) as one,
        _alerts(webhook.address, redis_url=redis_url, alert_repeat_seconds=1) as other,
    ):
        one.error("order_failed", order_id="o-1")
        await eventually(lambda: webhook.messages, within_seconds=10)
        began = time.monotonic()
        for _ in range(3):
            other.error("order_failed", order_id="o-1")
        other.error("order_failed", order_id="o-2")
        await eventually(lambda: len(webhook.messages) == 2, within_seconds=10)

    assert time.monotonic() - began > 0.5
    assert "Which: o-2\n" in webhook.messages[1]["message"]
    assert webhook.titles() == ["Fillwire: order FAILED"] * 2


async def test_two_processes_without_a_key_both_send_it(webhook: Webhook, redis_url: str) -> None:
    async with (
        _alerts(webhook.address, redis_url=redis_url, broadcast_key=None) as one,
        _alerts(webhook.address, redis_url=redis_url, broadcast_key=None) as other,
    ):
        for telemetry in (one, other):
            telemetry.error("order_failed", order_id="o-1")
        await eventually(lambda: len(webhook.messages) >= 2, within_seconds=10)

    assert webhook.titles() == ["Fillwire: order FAILED"] * 2


async def test_without_redis_the_alert_is_sent(webhook: Webhook) -> None:
    async with _alerts(webhook.address, redis_url="redis://127.0.0.1:9/0") as telemetry:
        telemetry.error("order_failed", order_id="o-1")
        await eventually(lambda: webhook.messages, within_seconds=10)

    assert webhook.titles() == ["Fillwire: order FAILED"]


async def test_a_channel_that_fails_for_a_moment_gets_the_message_after_all(webhook: Webhook) -> None:
    webhook.status = 503
    async with _alerts(webhook.address, alert_max_attempts=1_000) as telemetry:
        telemetry.error("order_failed", order_id="o-1")
        await eventually(lambda: webhook.asked >= 2, within_seconds=10)
        webhook.status = 200
        await eventually(lambda: _messages(telemetry, "sent") == 1, within_seconds=10)

    assert webhook.titles() == ["Fillwire: order FAILED"]
    assert _messages(telemetry, "failed") == 0


async def test_what_no_channel_delivered_is_counted_and_sent_when_it_happens_again(
    webhook: Webhook, redis_url: str
) -> None:
    webhook.status = 503
    async with _alerts(webhook.address, redis_url=redis_url, alert_max_attempts=2) as telemetry:
        telemetry.error("venue_unauthorized")
        await eventually(lambda: _messages(telemetry, "failed") == 1, within_seconds=10)
        webhook.status = 200

        def is_sent_again() -> list[str]:
            telemetry.error("venue_unauthorized")
            return webhook.titles()

        await eventually(is_sent_again, within_seconds=10)

    (title,) = webhook.titles()
    assert title.startswith("Fillwire: the exchange refuses our key")


async def test_a_failing_and_a_silent_channel_neither_slow_the_work_nor_the_other_channel(webhook: Webhook) -> None:
    async with open_webhook() as silent:
        silent.silent = True
        async with _alerts(silent.address, DEAD, webhook.address, alert_timeout_seconds=0.2) as telemetry:
            longest = asyncio.create_task(_longest_pause_of_the_loop())
            started = time.perf_counter()
            for number in range(MANY_EVENTS):
                telemetry.error("order_failed", order_id=f"o-{number}")
            took = time.perf_counter() - started
            await eventually(lambda: webhook.messages and silent.asked, within_seconds=10)
            await eventually(lambda: _messages(telemetry, "failed") >= 2, within_seconds=10)
            longest.cancel()

    assert took / MANY_EVENTS < 0.001
    assert await longest < 0.5


async def _longest_pause_of_the_loop() -> float:
    """Measure until cancelled: the longest blocking of the event loop, in seconds."""
    longest, before = 0.0, time.perf_counter()
    while True:
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            return longest
        now = time.perf_counter()
        longest, before = max(longest, now - before), now


async def test_a_process_does_not_wait_for_a_silent_channel_at_its_end(webhook: Webhook, redis_url: str) -> None:
    async with open_webhook() as silent:
        silent.silent = True
        async with (
            asyncio.timeout(5),
            _alerts(silent.address, redis_url=redis_url, stop_within_seconds=0.1) as telemetry,
        ):
            telemetry.error("order_failed", order_id="o-1")
            await eventually(lambda: silent.asked, within_seconds=4)
            telemetry.error("dead_letter", error="not JSON")

        assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("alert "))
        assert _messages(telemetry, "failed") == 2

    async with _alerts(webhook.address, redis_url=redis_url) as successor:
        successor.error("order_failed", order_id="o-1")
        await eventually(lambda: webhook.messages, within_seconds=5)


async def test_messages_beyond_the_room_of_a_channel_are_dropped_and_counted(webhook: Webhook) -> None:
    webhook.silent = True
    async with _alerts(webhook.address, alert_waiting_messages_max=1, alert_timeout_seconds=1) as telemetry:
        for event in ALERTS:
            telemetry.error(event, order_id="o-1")
        await eventually(lambda: _messages(telemetry, "dropped") >= 1, within_seconds=10)
        webhook.close()


async def test_without_addresses_alerts_are_counted_and_nothing_is_sent() -> None:
    async with _alerts() as telemetry:
        telemetry.error("order_failed", order_id="o-1")

    assert telemetry.metrics.registry.get_sample_value("fillwire_alerts_total", {"kind": "order_failed"}) == 1
    assert telemetry.metrics.registry.get_sample_value("fillwire_alert_messages_total", {"outcome": "sent"}) is None


@pytest.mark.parametrize("address", ["nope://x", "json://", "slack://short-t0ken", "no address"])
def test_an_address_that_cannot_be_used_is_refused_by_its_place_and_not_shown(address: str) -> None:
    with pytest.raises(SettingsError, match=r"ALERT_URLS: address 2 cannot be used") as refusal:
        open_channels(["json://127.0.0.1:9/first", address])

    assert address not in str(refusal.value)


def test_an_address_may_hold_commas_of_its_own() -> None:
    first, second = "mailtos://user:password@example.com?to=one@example.com,two@example.com", "json://example.com/x"

    settings = Settings.model_validate({"alert_urls": f"{first} , {second},"})

    assert settings.alert_addresses == (first, second)
    assert {first, second} <= set(settings.secrets())


@pytest.mark.usefixtures("_restored_logs")
async def test_no_secret_of_an_address_is_logged_not_even_for_debugging(
    capsys: pytest.CaptureFixture[str], webhook: Webhook
) -> None:
    addresses = (
        webhook.address.replace("json://", "json://us3r:passw0rd@") + "?key=qu3ry",
        "json://us3r:passw0rd@127.0.0.1:9/s3cret-t0ken?key=qu3ry",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#channel?cto=0.01&rto=0.01",
    )
    settings = Settings.model_validate({"alert_urls": ",".join(addresses)})
    configure_logs(process="worker", log_format="json", level="DEBUG", secrets=settings.secrets(), gather_seconds=10)
    async with _alerts(*addresses[:2], alert_max_attempts=1) as telemetry:
        telemetry.error("order_failed", order_id="o-1")
        await eventually(lambda: webhook.messages and _messages(telemetry, "failed"), within_seconds=10)
    channel = open_channels(addresses)[2]
    reason = await channel.send(TEST, within_seconds=5)
    get_logger().error("alert_not_sent", channel=channel.name, error=reason)

    output = capsys.readouterr().out
    assert "alert_not_sent" in output
    secrets = ("s3cret-t0ken", "passw0rd", "qu3ry", "T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ")
    assert not [secret for secret in secrets if secret in output]


@pytest.fixture
def _restored_logs() -> Iterator[None]:
    import logging  # noqa: PLC0415 - only here

    import structlog  # noqa: PLC0415 - only here

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_the_test_command_reports_which_channel_accepted_the_message(webhook: Webhook) -> None:
    environment = {"ALERT_URLS": f"{webhook.address},{DEAD}"}
    async with running(["-m", "runtime", "alerts", "test"], environment=environment) as command:
        code = await command.ends(within_seconds=30)
        await command.shows("channel 2", within_seconds=5)

    assert code == 1
    assert command.output[0] == "channel 1 (json): sent"
    assert command.output[1].startswith("channel 2 (json): FAILED: ")
    assert "s3cret-t0ken" not in "".join(command.output)
    assert webhook.titles() == ["Fillwire: test of alerts"]


@pytest.mark.parametrize(("addresses", "code"), [("", 2), ("nope://x", 2)])
def test_the_test_command_needs_addresses_that_can_be_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], addresses: str, code: int
) -> None:
    monkeypatch.setenv("ALERT_URLS", addresses)

    assert send_test_messages() == code
    assert "ALERT_URLS" in capsys.readouterr().err
