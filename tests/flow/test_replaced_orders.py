"""An order is replaced in the broker's own UI: it continues under its own id, and its subscriber receives every
fill once.
"""

from collections.abc import AsyncIterator, Sequence

import pytest

from exchange.simulator.keys import VenueKeys
from tests.support.processes import eventually
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system

SETTINGS = {
    "CATCH_UP_PAUSE_SECONDS": "0.2",
    "CATCH_UP_EVERY_SECONDS": "600",
    "CANCEL_RETRY_SECONDS": "0.1",
    "CANCEL_CONFIRM_SECONDS": "0.3",
    "RECONCILE_EVERY_SECONDS": "0.5",
    "RECONCILE_SILENT_SECONDS": "0.2",
    "RECONCILE_LOOK_UP_PAUSE_SECONDS": "0.2",
}
WITHIN_SECONDS = 15.0
FOLLOW = """subscription($id: ID!) { orderStatus(orderId: $id) {
    order { status filledQuantity } change { kind execution { quantity } }
} }"""
CHAIN = """query ($id: ID!) { order(id: $id) {
    status quantity originalQuantity limitPrice filledQuantity leavesQuantity venueOrderId
    venueOrders { venueOrderId venueClientOrderId venueStatus filledQuantity replaces endedAt }
    history(first: 50) { nodes { kind } }
} }"""


@pytest.fixture(scope="module")
async def system(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[System]:
    """Start one system for all replacements, whose exchange fills on request."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/3"
    async with open_system(database_url=database_url, redis_url=redis_url, settings=SETTINGS) as system:
        await system.start("api", "worker", "ingest")
        yield system


async def placed(system: System) -> tuple[str, str]:
    """Place an order of 100; return its id and the venue's."""
    order_id = await system.placed_id(quantity="100", type="LIMIT", limitPrice="230", timeInForce="GTC")
    return order_id, (await system.becomes(order_id, "PLACED"))["venueOrderId"]


async def replace(system: System, venue_order_id: str, **change: str) -> str:
    """Replace the order as in the broker's own UI; return the id of the new one."""
    url = f"{system.exchange_url}/v2/orders/{venue_order_id}"

    async def done() -> str | None:
        # One that was just replaced must be `new` first.
        async with system.session.patch(url, json=change, headers=VenueKeys().headers) as response:
            return str((await response.json())["id"]) if response.status == 200 else None

    return await eventually(done, within_seconds=WITHIN_SECONDS, what="the exchange replaces the order")


async def fill(system: System, venue_order_id: str, quantity: str) -> None:
    """Fill a part of the order."""
    body: Json = {"order_id": venue_order_id, "qty": quantity, "price": "229", "force": True}
    await system.control("POST", "fills", body)


async def chain_of(system: System, order_id: str) -> Json:
    order: Json = (await system.ask(CHAIN, {"id": order_id}))["order"]
    return order


async def has_filled(system: System, order_id: str, quantity: str) -> None:
    async def is_filled() -> bool:
        return bool((await system.order(order_id))["filledQuantity"] == quantity)

    await eventually(is_filled, within_seconds=WITHIN_SECONDS, what=f"{quantity} of the order are filled")


def fills_in(updates: Sequence[Json]) -> list[str]:
    changes = [update["orderStatus"]["change"] for update in updates]
    return [change["execution"]["quantity"] for change in changes if change is not None and change["execution"]]


async def test_an_order_that_is_replaced_twice_continues_and_has_every_fill_once(system: System) -> None:
    order_id, first = await placed(system)
    async with system.socket() as socket:
        following = await socket.subscribe(FOLLOW, {"id": order_id})
        await following.next()
        await fill(system, first, "10")
        second = await replace(system, first, client_order_id=f"ui-{order_id}", limit_price="231")
        # The same quantity as of the first one, and the same total: only the venue order distinguishes them.
        await fill(system, second, "10")
        await has_filled(system, order_id, "20")
        between = await chain_of(system, order_id)
        third = await replace(system, second, qty="70")
        await fill(system, third, "30")
        await fill(system, third, "40")
        updates = await following.rest()

    order = await chain_of(system, order_id)
    assert (between["status"], between["quantity"], between["leavesQuantity"]) == ("PARTIALLY_FILLED", "100", "80")
    assert (between["limitPrice"], between["originalQuantity"]) == ("231", "100")
    assert (order["status"], order["filledQuantity"], order["quantity"]) == ("FILLED", "90", "90")
    assert order["venueOrderId"] == third
    assert fills_in(updates) == ["10", "10", "30", "40"]
    assert updates[-1]["orderStatus"]["order"] == {"status": "FILLED", "filledQuantity": "90"}
    shown = [(one["venueOrderId"], one["replaces"], one["filledQuantity"]) for one in order["venueOrders"]]
    assert shown == [(first, None, "10"), (second, first, "10"), (third, second, "70")]
    assert [one["venueStatus"] for one in order["venueOrders"]][:2] == ["replaced", "replaced"]
    assert order["venueOrders"][1]["venueClientOrderId"] == f"ui-{order_id}"
    assert all(one["endedAt"] for one in order["venueOrders"][:2])
    assert "CANCELED" not in [change["kind"] for change in order["history"]["nodes"]]


@pytest.mark.parametrize("is_over", [False, True], ids=["still open", "filled meanwhile"])
async def test_a_chain_that_grew_while_ingest_was_down_is_found(system: System, is_over: bool) -> None:
    order_id, first = await placed(system)
    await system.stop("ingest")
    try:
        await fill(system, first, "10")
        second = await replace(system, first)
        await fill(system, second, "20")
        third = await replace(system, second)
        await fill(system, third, "30" if not is_over else "70")
    finally:
        await system.start("ingest")

    await has_filled(system, order_id, "60" if not is_over else "100")
    order = await chain_of(system, order_id)
    assert order["status"] == ("FILLED" if is_over else "PARTIALLY_FILLED")
    shown = [(one["venueOrderId"], one["replaces"], one["filledQuantity"]) for one in order["venueOrders"]]
    assert [one[:2] for one in shown] == [(first, None), (second, first), (third, second)]
    await fill(system, third, "40") if not is_over else None
    assert (await system.becomes(order_id, "FILLED"))["filledQuantity"] == "100"


async def test_a_cancel_is_sent_to_the_newest_venue_order(system: System) -> None:
    order_id, first = await placed(system)
    second = await replace(system, first)

    await system.cancel(order_id)

    await system.becomes(order_id, "CANCELED")
    order = await chain_of(system, order_id)
    assert [(one["venueOrderId"], one["venueStatus"]) for one in order["venueOrders"]] == [
        (first, "replaced"),
        (second, "canceled"),
    ]


async def test_an_order_that_another_client_replaced_is_still_external(system: System) -> None:
    before = len(await system.journal("order"))
    external = await system.control(
        "POST", "orders", {"symbol": "AAPL", "side": "buy", "qty": "5", "type": "limit", "limit_price": "1"}
    )
    order_id, _ = await placed(system)
    second = await replace(system, external["id"])
    await fill(system, second, "5")

    assert len(await system.journal("order")) == before + 3
    assert (await system.order(order_id))["filledQuantity"] == "0"
