"""A venue's own actions on orders, against real processes: it forgets, restates, delays cancels, ends the day."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.support.processes import eventually
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system
from tests.support.webhook import Webhook, open_webhook

QUICK = {
    "STREAM_SILENCE_SECONDS": "0.5",
    "CATCH_UP_PAUSE_SECONDS": "0.3",
    "CATCH_UP_EVERY_SECONDS": "1",
    "CANCEL_RETRY_SECONDS": "0.1",
    "CANCEL_CONFIRM_SECONDS": "0.1",
    "SWEEP_EVERY_SECONDS": "0.1",
    "SWEEP_OVERDUE_SECONDS": "0.1",
    "RECONCILE_EVERY_SECONDS": "0.3",
    "RECONCILE_SILENT_SECONDS": "0.3",
    "RECONCILE_LOOK_UP_PAUSE_SECONDS": "0.3",
    "RECONCILE_LOST_SECONDS": "0.5",
}
WITHIN_SECONDS = 15.0
MANY_ORDERS = 60
ORDER = """query ($id: ID!) { order(id: $id) {
    status quantity originalQuantity leavesQuantity filledQuantity history(first: 50) { nodes { kind } }
} }"""


@pytest.fixture(scope="module")
async def webhook() -> AsyncIterator[Webhook]:
    async with open_webhook() as webhook:
        yield webhook


@pytest.fixture(scope="module")
async def shared_system(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str, webhook: Webhook
) -> AsyncIterator[System]:
    """Start one system for all of these tests, whose alerts are sent to the webhook."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/3"
    settings = {**QUICK, "ALERT_URLS": webhook.address}
    async with open_system(database_url=database_url, redis_url=redis_url, settings=settings) as system:
        await system.start("api", "worker", "ingest")
        yield system


@pytest.fixture
async def system(shared_system: System) -> AsyncIterator[System]:
    """Return the system, whose exchange cancels immediately and whose stream is connected when the test ends."""
    yield shared_system
    await shared_system.control("PUT", "matching", {"cancels": "auto"})
    await shared_system.control("PUT", "faults", {"stream": {"mute": False}})


async def test_an_order_that_the_venue_forgot_is_logged_and_unchanged(system: System, webhook: Webhook) -> None:
    order_id = await system.placed_id()
    venue_order_id = (await system.becomes(order_id, "PLACED"))["venueOrderId"]
    await system.control("DELETE", f"orders/{venue_order_id}")

    await system.cancel(order_id)
    await eventually(
        lambda: "Fillwire: order that the exchange does not know any more" in webhook.titles(),
        within_seconds=WITHIN_SECONDS,
        what="people are told",
    )

    assert (await system.order(order_id))["status"] == "PENDING_CANCEL"
    # From 0.1 s on at pauses that double: 8 in 13 s. Once a second and more often it would be dozens.
    deletes = [one for one in await requests(system, "DELETE") if one["path"] == f"/v2/orders/{venue_order_id}"]
    assert 1 <= len(deletes) <= 9


async def test_cancels_that_the_venue_leaves_pending_are_sent_once(system: System) -> None:
    await system.control("PUT", "matching", {"cancels": "manual"})
    order_ids = await asyncio.gather(*(system.placed_id() for _ in range(12)))
    placed = await asyncio.gather(*(system.becomes(order_id, "PLACED") for order_id in order_ids))
    paths = {f"/v2/orders/{order['venueOrderId']}" for order in placed}

    for order_id in order_ids:
        await system.cancel(order_id)
    names = [await system.venue_client_order_id(order_id) for order_id in order_ids]
    await eventually(
        lambda: are_looked_up(system, names, times=3), within_seconds=WITHIN_SECONDS, what="each is looked up"
    )
    pending = {(await system.order(order_id))["status"] for order_id in order_ids}
    sent = [one["path"] for one in await requests(system, "DELETE") if one["path"] in paths]
    await system.control("POST", "cancels", {})

    await asyncio.gather(*(system.becomes(order_id, "CANCELED") for order_id in order_ids))
    assert pending == {"PENDING_CANCEL"}
    assert sorted(sent) == sorted(paths)


async def test_orders_that_end_with_the_day_without_a_connection_are_read_by_page(system: System) -> None:
    order_ids = await asyncio.gather(*(system.placed_id() for _ in range(MANY_ORDERS)))
    await asyncio.gather(*(system.becomes(order_id, "PLACED") for order_id in order_ids))
    names = {await system.venue_client_order_id(order_id) for order_id in order_ids}
    before = len(await requests(system))

    await system.control("PUT", "faults", {"stream": {"mute": True}})
    await system.control("POST", "session", {"end": True})

    await asyncio.gather(*(system.becomes(order_id, "EXPIRED") for order_id in order_ids))
    asked = (await requests(system))[before:]
    assert not [one for one in asked if one["client_order_id"] in names]
    assert [one for one in asked if one["query"].get("status") == "closed"]


@pytest.mark.parametrize("is_mute", [False, True], ids=["heard", "unheard"])
async def test_a_restated_order_shows_and_is_filled_by_its_terms_as_they_are_now(system: System, is_mute: bool) -> None:
    order_id = await system.placed_id(type="LIMIT", limitPrice="10", timeInForce="GTC")
    venue_order_id = (await system.becomes(order_id, "PLACED"))["venueOrderId"]
    await system.control("PUT", "faults", {"stream": {"mute": is_mute}})

    await system.control("POST", "restate", {"order_id": venue_order_id, "qty": "40", "symbol": "NEWCO"})
    await eventually(lambda: is_restated(system, order_id), within_seconds=WITHIN_SECONDS, what="restated")
    restated = await read(system, order_id)
    await system.control("POST", "fills", {"order_id": venue_order_id, "qty": "40", "price": "9"})
    await system.becomes(order_id, "FILLED")

    order = await read(system, order_id)
    assert (restated["quantity"], restated["leavesQuantity"], restated["originalQuantity"]) == ("40", "40", "90")
    assert order["filledQuantity"] == "40"
    assert [change["kind"] for change in order["history"]["nodes"]] == ["RECEIVED", "PLACED", "RESTATED", "FILL"]
    said = [line for head in ("worker", "ingest") for line in system.processes[head].output]
    assert not [line for line in said if "venue_order_mismatch" in line]


async def read(system: System, order_id: str) -> Json:
    order: Json = (await system.ask(ORDER, {"id": order_id}))["order"]
    return order


async def is_restated(system: System, order_id: str) -> bool:
    return bool((await read(system, order_id))["quantity"] == "40")


async def requests(system: System, method: str | None = None) -> Sequence[Json]:
    answered: Sequence[Json] = (await system.control("GET", "requests?after=0&limit=20000"))["requests"]
    return [one for one in answered if method in {None, one["method"]}]


async def are_looked_up(system: System, names: Sequence[str], *, times: int) -> bool:
    looked_up = [one["client_order_id"] for one in await requests(system, "GET")]
    return all(looked_up.count(name) >= times for name in names)
