"""Executions that the venue busts, lists late or omits: the system counts what the venue counts, and reports
differences.
"""

from collections.abc import AsyncIterator

import pytest

from tests.support.processes import eventually
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system

SETTINGS = {
    "CATCH_UP_PAUSE_SECONDS": "0.2",
    "CATCH_UP_EVERY_SECONDS": "600",
    "RECONCILE_EVERY_SECONDS": "0.5",
    "RECONCILE_SILENT_SECONDS": "0.2",
    "RECONCILE_LOOK_UP_PAUSE_SECONDS": "0.2",
    "FILLS_MISSING_ALERT_SECONDS": "0.5",
}


FOLLOW = "subscription($id: ID!) { orderStatus(orderId: $id) { order { status filledQuantity } } }"


@pytest.fixture(scope="module")
async def system(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[System]:
    """Start one system for all amendments, whose exchange fills on request."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/3"
    async with open_system(database_url=database_url, redis_url=redis_url, settings=SETTINGS) as system:
        await system.start("api", "worker", "ingest")
        await system.control("PUT", "matching", {"mode": "manual"})
        yield system


async def placed(system: System) -> tuple[str, str]:
    """Place an order of 100; return its id and the venue's."""
    order_id = await system.placed_id(quantity="100")
    return order_id, (await system.becomes(order_id, "PLACED"))["venueOrderId"]


async def fill(system: System, venue_order_id: str, quantity: str) -> str:
    """Fill a part of the order; return the execution id."""
    body: Json = {"order_id": venue_order_id, "qty": quantity, "price": "230", "force": True}
    execution_id: str = (await system.control("POST", "fills", body))["execution_id"]
    return execution_id


async def has_filled(system: System, order_id: str, quantity: str) -> None:
    """Wait until so much of the order is filled."""

    async def is_filled() -> bool:
        return bool((await system.order(order_id))["filledQuantity"] == quantity)

    await eventually(is_filled, within_seconds=10, what=f"{quantity} of the order are filled")


async def test_an_equal_fill_after_a_bust_counts_and_a_bust_by_a_corrections_id_counts(system: System) -> None:
    order_id, venue_order_id = await placed(system)
    await fill(system, venue_order_id, "33")
    second = await fill(system, venue_order_id, "33")
    await system.control("POST", "bust", {"execution_id": second})
    await fill(system, venue_order_id, "33")
    last = await fill(system, venue_order_id, "34")
    await has_filled(system, order_id, "100")

    corrected = await system.control("POST", "correct", {"execution_id": last, "qty": "30"})
    await has_filled(system, order_id, "96")
    await system.control("POST", "bust", {"execution_id": corrected["execution_id"]})
    await has_filled(system, order_id, "66")


async def test_a_fill_that_the_stream_drops_before_a_cancel_is_listed_immediately_by_its_order(system: System) -> None:
    order_id, venue_order_id = await placed(system)
    await system.control("PUT", "faults", {"stream": {"drop_rate": 1}})
    execution_id = await fill(system, venue_order_id, "33")
    await system.control("PUT", "listing", {"omitted": [execution_id]})
    await system.control("PUT", "faults", {"stream": {"drop_rate": 0}})
    await system.cancel(order_id)

    async with system.socket() as socket:
        updates = await (await socket.subscribe(FOLLOW, {"id": order_id})).rest()

    last = updates[-1]["orderStatus"]["order"]
    assert (last["status"], last["filledQuantity"]) == ("CANCELED", "33")


async def test_a_fill_that_is_never_listed_and_a_bust_that_is_never_reported_are_alerted(system: System) -> None:
    hidden, venue_order_id = await placed(system)
    busted, other_venue_order_id = await placed(system)
    told = await fill(system, other_venue_order_id, "33")
    await has_filled(system, busted, "33")
    await system.control("PUT", "faults", {"stream": {"drop_rate": 1}})
    await system.control("POST", "bust", {"execution_id": told})
    never_listed = await fill(system, venue_order_id, "100")
    await system.control("PUT", "listing", {"hidden": [never_listed]})
    await system.control("PUT", "faults", {"stream": {"drop_rate": 0}})

    await system.processes["worker"].shows("fills_missing", within_seconds=15)
    await system.processes["worker"].shows("fills_excess", within_seconds=15)
    assert (await system.order(hidden))["status"] == "PLACED"
    await system.control("PUT", "listing", {})
    await system.becomes(hidden, "FILLED")


async def test_a_bust_of_a_filled_order_while_the_stream_is_cut_is_noticed(system: System) -> None:
    order_id, venue_order_id = await placed(system)
    told = await fill(system, venue_order_id, "100")
    await system.becomes(order_id, "FILLED")

    await system.control("POST", "disconnect", {"hold_slot_seconds": 1})
    await system.control("POST", "bust", {"execution_id": told})

    await system.processes["ingest"].shows("fills_excess", within_seconds=15)
