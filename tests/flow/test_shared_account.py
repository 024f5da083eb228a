"""A system with external orders on its account at the exchange: they do not disturb our orders."""

from collections.abc import AsyncIterator

import pytest

from tests.support.processes import eventually
from tests.support.system import Json, System, open_system
from tests.support.webhook import Webhook, open_webhook

CUT_SECONDS = 2.0
WITHIN_SECONDS = 15.0
QUICK = {
    "STREAM_SILENCE_SECONDS": "1",
    "CATCH_UP_UNHEARD_SECONDS": "1",
    "CATCH_UP_PAUSE_SECONDS": "0.3",
    "RECONCILE_EVERY_SECONDS": "0.5",
    "RECONCILE_SILENT_SECONDS": "0.5",
    "ALERT_STREAM_DOWN_SECONDS": "5",
}
EXTERNAL: list[Json] = [
    {"type": "stop", "stop_price": "150"},
    {"type": "trailing_stop", "trail_percent": "1.5"},
    {"type": "limit", "limit_price": "150", "time_in_force": "opg"},
    {"qty": None, "notional": "100.5"},
    {"order_class": "a class of next year"},
    {
        "order_class": "bracket",
        "take_profit": {"limit_price": "300"},
        "stop_loss": {"stop_price": "100"},
    },
    {"type": "stop_limit", "stop_price": "150", "limit_price": "151"},
]


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    async with open_webhook() as webhook:
        yield webhook


@pytest.fixture
async def shared(database_url: str, redis_url: str, webhook: Webhook) -> AsyncIterator[System]:
    """Start a system of one worker and one ingest, whose alerts are sent to the webhook."""
    settings = {**QUICK, "ALERT_URLS": webhook.address}
    async with open_system(database_url=database_url, redis_url=redis_url, settings=settings) as system:
        await system.start("api", "worker", "ingest")
        yield system


async def place_external(system: System, *, fill: bool) -> None:
    for number, fields in enumerate(EXTERNAL):
        name = {"client_order_id": f"by-hand-{number}-{fill}"} if number else {}  # The first one's is generated.
        body = {"symbol": "AAPL", "side": "buy", "qty": "3", **name, **fields, "fill": fill}
        await system.control("POST", "orders", body)


async def test_fills_and_ends_that_the_stream_missed_are_recorded_together_with_external_orders_of_every_kind(
    shared: System, webhook: Webhook
) -> None:
    filled, ended = [await shared.placed_id() for _ in range(2)]
    venue_order_ids = [(await shared.becomes(order_id, "PLACED"))["venueOrderId"] for order_id in (filled, ended)]
    await place_external(shared, fill=False)

    await shared.control("POST", "disconnect", {"hold_slot_seconds": CUT_SECONDS})
    await place_external(shared, fill=True)
    await shared.control("POST", "fills", {"order_id": venue_order_ids[0]})
    await shared.control("POST", "close")

    await shared.becomes(filled, "FILLED")
    await shared.becomes(ended, "EXPIRED")
    assert await shared.metric("reports_unreadable_total", head="ingest") == 0
    # A worker may record ours first, order by order; ingest reads all orders in its list.
    await eventually(lambda: _reads_external(shared), within_seconds=WITHIN_SECONDS, what="external fills are read")
    assert not [title for title in webhook.titles() if "dead letter" in title or "unreadable" in title]


async def _reads_external(system: System) -> bool:
    return await system.metric("reports_external_total", head="ingest") > 0


async def test_catch_ups_that_still_fail_are_logged(shared: System, webhook: Webhook) -> None:
    await shared.control(
        "PUT",
        "answers",
        [{"method": "GET", "path": "/v2/account/activities/*", "times": 1_000_000, "status": 500, "body": "<html>"}],
    )

    await shared.control("POST", "disconnect")

    def is_told() -> bool:
        return "Fillwire: catching up fails" in webhook.titles()

    await eventually(is_told, within_seconds=20, what="people are told")
    await shared.control("PUT", "answers", [])
    await shared.processes["ingest"].shows("catch_up_recovered", within_seconds=10)
