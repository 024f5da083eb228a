"""A database restored to an earlier moment under running processes: each intent stays one order at the exchange."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.dumps import dump_database, restore_database
from tests.support.processes import eventually
from tests.support.system import Json, System, open_system

SETTINGS = {
    "PLACEMENT_SETTLE_SECONDS": "1",
    "POSITIONS_COMPARED_EVERY_SECONDS": "0.5",
    "CATCH_UP_EVERY_SECONDS": "1",
    "CATCH_UP_PAUSE_SECONDS": "0.1",
    "SWEEP_OVERDUE_SECONDS": "0.5",
}
WITHIN_SECONDS = 30.0
WATCH_ALL = "subscription { orderUpdates { kind order { id status } } }"


@pytest.fixture
async def alone(database_url: str, redis_url: str) -> AsyncIterator[System]:
    """Start a system that a test may disturb."""
    async with open_system(database_url=database_url, redis_url=redis_url, settings=SETTINGS) as system:
        await system.start("api", "worker", "ingest")
        yield system


async def test_after_a_restore_repeated_intents_adopt_their_orders_and_none_is_placed_twice(
    alone: System, tmp_path: Path
) -> None:
    kept = await _placed(alone, "kept")
    dump = tmp_path / "dump"
    await dump_database(alone.environment["DATABASE_URL"], dump)
    await _fill(alone, kept, "90")
    resting, partial, filled = [await _placed(alone, name) for name in ("resting", "partial", "filled")]
    await _fill(alone, partial, "30")
    await _fill(alone, filled, "90")
    await alone.becomes(filled, "FILLED")

    async with alone.socket() as socket:
        watching = await socket.subscribe(WATCH_ALL)
        assert (await watching.next())["orderUpdates"]["kind"] == "CHECKPOINT"
        await restore_database(alone.environment["DATABASE_URL"], dump)
        reset = await watching.next()
        assert reset["orderUpdates"]["kind"] == "RESET"

        # Orders stored before the dump are caught up; orders stored after it are known only at the exchange.
        await alone.becomes(kept, "FILLED", within_seconds=WITHIN_SECONDS)
        await eventually(lambda: _says(alone, "venue_order_unknown"), within_seconds=WITHIN_SECONDS)
        adopted = {name: await _repeated(alone, name) for name in ("resting", "partial", "filled")}
        await alone.becomes(adopted["resting"], "PLACED", within_seconds=WITHIN_SECONDS)
        await alone.becomes(adopted["partial"], "PARTIALLY_FILLED", within_seconds=WITHIN_SECONDS)
        await alone.becomes(adopted["filled"], "FILLED", within_seconds=WITHIN_SECONDS)
        await _fill(alone, adopted["resting"], "90")
        await alone.becomes(adopted["resting"], "FILLED", within_seconds=WITHIN_SECONDS)
        await _fill(alone, adopted["partial"], "60")
        await alone.becomes(adopted["partial"], "FILLED", within_seconds=WITHIN_SECONDS)

        # The fill of a restored order may be in the data that the reset makes the client read.
        ended = set[str]()
        while not ended >= set(adopted.values()):
            update: Json = (await watching.next())["orderUpdates"]
            if update["kind"] == "CHANGE" and update["order"]["status"] == "FILLED":
                assert update["order"]["id"] not in ended
                ended.add(update["order"]["id"])

    assert resting not in adopted.values()
    await _one_order_per_intent(alone, 4)


async def test_an_order_that_was_sent_after_the_dump_is_adopted_and_not_sent_a_second_time(
    alone: System, tmp_path: Path
) -> None:
    await alone.stop("worker")
    order_id = await alone.placed_id(client_order_id="stored")
    await dump_database(alone.environment["DATABASE_URL"], tmp_path / "dump")
    await alone.start("worker")
    await alone.becomes(order_id, "PLACED")

    await restore_database(alone.environment["DATABASE_URL"], tmp_path / "dump")

    await alone.becomes(order_id, "PLACED", within_seconds=WITHIN_SECONDS)
    await _one_order_per_intent(alone, 1)


async def test_two_accounts_with_one_client_order_id_each_adopt_their_own_order(alone: System, tmp_path: Path) -> None:
    await dump_database(alone.environment["DATABASE_URL"], tmp_path / "dump")
    for account in ("mine", "theirs"):
        order_id = await alone.placed_id(client_order_id="same", account=account)
        await alone.becomes(order_id, "PLACED", account=account)

    await restore_database(alone.environment["DATABASE_URL"], tmp_path / "dump")

    for account in ("mine", "theirs"):
        again = await alone.placed_id(client_order_id="same", account=account)
        await alone.becomes(again, "PLACED", account=account, within_seconds=WITHIN_SECONDS)
    await _one_order_per_intent(alone, 2)


async def _placed(system: System, name: str) -> str:
    order_id = await system.placed_id(client_order_id=name)
    await system.becomes(order_id, "PLACED")
    return order_id


async def _repeated(system: System, name: str) -> str:
    """Repeat the request as a client that does not know of the restore; return the id of the order now stored."""
    result = await system.place(client_order_id=name)
    assert (result["__typename"], result["replayed"]) == ("PlaceOrderSuccess", False)
    order_id: str = result["order"]["id"]
    return order_id


async def _fill(system: System, order_id: str, quantity: str) -> None:
    order = await system.order(order_id)
    await system.control("POST", "fills", {"order_id": order["venueOrderId"], "qty": quantity, "price": "190"})


async def _one_order_per_intent(system: System, count: int) -> None:
    names = Counter(entry["client_order_id"] for entry in await system.journal("order"))
    assert list(names.values()) == [1] * count


def _says(system: System, event: str) -> bool:
    return any(event in line for line in system.processes["ingest"].output)
