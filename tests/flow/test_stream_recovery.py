"""Faults of the stream: soon after the end of each, the stored orders agree with the exchange."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest

from tests.flow.against_exchange import Exchange, fill_while_cut
from tests.support.processes import eventually
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import open_system

RIGHT_WITHIN_SECONDS = 10.0
ORDERS = 20
ORDERS_DURING_THE_CUT = 1_000
CUT_SECONDS = 4.0
SETTINGS = {
    "STREAM_SILENCE_SECONDS": "1",
    "CATCH_UP_UNHEARD_SECONDS": "1",
    "CATCH_UP_PAUSE_SECONDS": "0.3",
    "STREAM_RECONNECT_MAX_SECONDS": "2",
    # Ingest detects everything itself: records of a worker's reconciler between the last report and the first check of
    # a silent stream prove nothing about it before the next fill.
    "RECONCILE_EVERY_SECONDS": "3600",
}
UNDISTURBED = {"drop_rate": 0, "duplicate_rate": 0, "reorder_rate": 0, "null_rate": 0, "mute": False}


@pytest.fixture(scope="module")
async def exchange(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[Exchange]:
    """One system for all faults, whose exchange fills by itself."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    async with open_system(database_url=database_url, redis_url=redis_url, settings=SETTINGS) as system:
        await system.start("api", "worker", "ingest")
        database = await asyncpg.connect(database_url)
        yield Exchange(system, database)
        await database.close()


@pytest.fixture(autouse=True)
async def _undisturbed(exchange: Exchange) -> AsyncIterator[None]:
    """No test's faults reach the next."""
    await exchange.system.control("PUT", "matching", {"mode": "auto", "fill_delay_ms": 50, "fills_per_order": 3})
    yield
    await exchange.system.control("PUT", "faults", {"stream": UNDISTURBED, "down": False})


@pytest.mark.parametrize(
    "faults",
    [
        {"drop_rate": 0.5},
        {"duplicate_rate": 1},
        {"reorder_rate": 0.7},
        {"null_rate": 1},
        {"drop_rate": 0.3, "duplicate_rate": 0.3, "reorder_rate": 0.3, "null_rate": 0.3},
    ],
    ids=["dropping", "doubling", "reordering", "null frames", "all at once"],
)
async def test_a_stream_that_disturbs_its_events_leaves_nothing_wrong(
    exchange: Exchange, faults: Mapping[str, float]
) -> None:
    await exchange.system.control("PUT", "faults", {"seed": 7, "stream": faults})

    await exchange.place(ORDERS)

    await exchange.becomes_right(within_seconds=RIGHT_WITHIN_SECONDS)


async def test_a_silent_stream_is_detected_and_closed(exchange: Exchange) -> None:
    # A new session: what another one did not send must not end this one.
    before = await _reconnects(exchange)
    await exchange.system.control("POST", "disconnect", {"hold_slot_seconds": 0})
    await eventually(lambda: _is_lost_since(exchange, before), within_seconds=RIGHT_WITHIN_SECONDS, what="it is lost")
    await _has_the_stream_again(exchange, within_seconds=RIGHT_WITHIN_SECONDS)
    await exchange.system.control("PUT", "matching", {"mode": "manual"})
    first, *rest = await exchange.place(ORDERS)
    reconnects = await _reconnects(exchange)
    await exchange.system.control("PUT", "faults", {"stream": {"mute": True}})

    await exchange.fill([first])
    await eventually(
        lambda: _is_lost_since(exchange, reconnects),
        within_seconds=RIGHT_WITHIN_SECONDS,
        what="the mute stream is left",
    )
    await exchange.fill(rest)

    await exchange.becomes_right(within_seconds=RIGHT_WITHIN_SECONDS)


@pytest.mark.parametrize("hold_slot_seconds", [0, 3], ids=["cut", "held slot"])
async def test_a_disconnected_stream_is_followed_again_and_caught_up(
    exchange: Exchange, hold_slot_seconds: float
) -> None:
    placing = asyncio.create_task(exchange.place(ORDERS))

    await exchange.system.control("POST", "disconnect", {"hold_slot_seconds": hold_slot_seconds})
    await placing

    await exchange.becomes_right(within_seconds=RIGHT_WITHIN_SECONDS)
    await _has_the_stream_again(exchange, within_seconds=hold_slot_seconds + RIGHT_WITHIN_SECONDS)


async def test_what_fills_while_the_exchange_answers_nothing_is_right_soon_after_its_return(exchange: Exchange) -> None:
    await exchange.system.control("PUT", "matching", {"mode": "manual"})
    order_ids = await exchange.place(ORDERS)
    await exchange.system.control("PUT", "faults", {"down": True})
    await exchange.fill(order_ids)

    await exchange.system.control("PUT", "faults", {"down": False})

    await exchange.becomes_right(within_seconds=RIGHT_WITHIN_SECONDS)


async def test_a_thousand_orders_that_fill_while_the_stream_is_cut_are_right_soon_after_its_return(
    exchange: Exchange,
) -> None:
    """`python -m tests.flow.stream_cut` does the same with 10 000 orders and 60 seconds."""
    await fill_while_cut(
        exchange, orders=ORDERS_DURING_THE_CUT, cut_seconds=CUT_SECONDS, within_seconds=RIGHT_WITHIN_SECONDS
    )

    await _has_the_stream_again(exchange, within_seconds=RIGHT_WITHIN_SECONDS)


async def _reconnects(exchange: Exchange) -> float:
    return await exchange.system.metric("stream_reconnects_total", head="ingest")


async def _is_lost_since(exchange: Exchange, reconnects: float) -> bool:
    return await _reconnects(exchange) > reconnects


async def _has_the_stream_again(exchange: Exchange, *, within_seconds: float) -> None:
    async def is_connected() -> bool:
        return await exchange.system.metric("stream_connected", head="ingest") == 1

    await eventually(is_connected, within_seconds=within_seconds, what="the stream is followed")
