"""Parts that are down: the API answers as before, and everything is made up for when they return."""

import time
from collections.abc import AsyncIterator

import pytest

from tests.flow.system import Json, System, open_system
from tests.processes import eventually
from tests.proxy import Proxy, proxied

QUICK = {"PLACEMENT_BACKOFF_SECONDS": "0.3", "PLACEMENT_BACKOFF_MAX_SECONDS": "1", "SWEEP_OVERDUE_SECONDS": "0.5"}
PLACED_WITHIN_SECONDS = 20.0


@pytest.fixture
async def alone(database_url: str, redis_url: str) -> AsyncIterator[System]:
    """A system that a test may harm; its API, worker and ingest run."""
    async with open_system(database_url=database_url, redis_url=redis_url, settings=QUICK) as system:
        await system.start("api", "worker", "ingest")
        yield system


async def test_an_order_waits_for_an_exchange_that_is_gone_and_is_placed_when_it_returns(alone: System) -> None:
    await alone.kill("exchange")

    started = time.monotonic()
    order_id = await alone.placed_id()
    answered_within = time.monotonic() - started

    async def was_tried() -> bool:
        return (await alone.order(order_id))["placement"]["lastError"] is not None

    await eventually(was_tried, within_seconds=10, what="an attempt failed")
    waiting = await alone.order(order_id)
    await alone.start("exchange")
    placed = await alone.becomes(order_id, "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
    assert answered_within < 1
    assert waiting["status"] == "PENDING"
    assert waiting["placement"]["attempts"] >= 1
    assert waiting["placement"]["nextAttemptAt"] is not None
    assert waiting["placement"]["maxAttempts"] == 5
    assert placed["placement"]["attempts"] > 1


async def test_an_exchange_that_stays_down_makes_an_order_fail_and_say_why(alone: System) -> None:
    await alone.control("PUT", "faults", {"down": True})

    order_id = await alone.placed_id()

    failed = await alone.becomes(order_id, "FAILED", within_seconds=30)
    assert failed["isFinal"]
    assert failed["placement"]["attempts"] == 5
    assert failed["reason"]["code"] == "ATTEMPTS_USED_UP"
    assert "not executed" in failed["reason"]["message"]
    assert await alone.metric("orders_failed_total", head="worker") == 1
    await alone.processes["worker"].shows("order_failed", within_seconds=1)


async def test_orders_are_accepted_and_placed_while_redis_is_gone(database_url: str, redis_url: str) -> None:
    async with (
        proxied(redis_url) as (redis, through),
        open_system(database_url=database_url, redis_url=through, settings=QUICK) as system,
    ):
        await system.start("api", "worker", "ingest")
        await redis.take_away()

        order_id = await system.placed_id()

        await system.becomes(order_id, "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
        await _can_be_watched(system, order_id)
        await redis.restore()


async def test_a_redis_that_hangs_does_not_slow_the_api_down(database_url: str, redis_url: str) -> None:
    async with (
        proxied(redis_url) as (redis, through),
        open_system(database_url=database_url, redis_url=through, settings=QUICK) as system,
    ):
        await system.start("api", "worker", "ingest")
        redis.hang()

        started = time.monotonic()
        order_id = await system.placed_id()
        answered_within = time.monotonic() - started

        await system.becomes(order_id, "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
        assert answered_within < 1
        await redis.restore()


@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
async def test_without_a_database_nothing_is_promised_stored_or_placed(
    database_url: str, redis_url: str, *, hangs: bool
) -> None:
    async with (
        proxied(database_url) as (database, through),
        open_system(database_url=through, redis_url=redis_url, settings=QUICK) as system,
    ):
        await system.start("api", "worker", "ingest")
        assert (await system.place(client_order_id="before"))["__typename"] == "PlaceOrderSuccess"
        await _interrupt(database, hangs=hangs)

        started = time.monotonic()
        result = await system.place(client_order_id="during")
        answered_within = time.monotonic() - started

        assert result["__typename"] == "Unavailable"
        assert answered_within < 2.5
        await database.restore()
        repeated = await eventually(
            lambda: _placed_again(system, client_order_id="during"), within_seconds=10, what="the database is back"
        )
        assert repeated["__typename"] == "PlaceOrderSuccess"
        await system.becomes(repeated["order"]["id"], "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
        assert len(await system.journal("order")) == 2


async def test_a_worker_killed_while_it_sends_neither_loses_nor_doubles_the_order(
    database_url: str, redis_url: str
) -> None:
    short_leases = QUICK | {"PLACEMENT_TIMEOUT_SECONDS": "0.5", "PLACEMENT_SETTLE_SECONDS": "1"}
    async with open_system(database_url=database_url, redis_url=redis_url, settings=short_leases) as system:
        await system.start("api", "worker", "ingest")
        await system.control("PUT", "faults", {"latency_ms": 450})
        order_id = await system.placed_id()
        await eventually(lambda: _was_claimed(system, order_id), within_seconds=5, what="an attempt runs")

        await system.kill("worker")
        await system.start("worker")

        await system.becomes(order_id, "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
        assert len(await system.journal("order")) == 1


async def _interrupt(database: Proxy, *, hangs: bool) -> None:
    if hangs:
        database.hang()
    else:
        await database.take_away()


async def _placed_again(system: System, *, client_order_id: str) -> Json | None:
    result = await system.place(client_order_id=client_order_id)
    return result if result["__typename"] == "PlaceOrderSuccess" else None


async def _was_claimed(system: System, order_id: str) -> bool:
    attempts: int = (await system.order(order_id))["placement"]["attempts"]
    return attempts == 1


async def _can_be_watched(system: System, order_id: str) -> None:
    """A subscription opens, and sees a later change, without Redis."""
    watch = "subscription Watch($id: ID!) { orderStatus(orderId: $id) { kind order { status } } }"
    async with system.socket() as socket:
        watching = await socket.subscribe(watch, {"id": order_id})
        first = await watching.next()
        assert first["orderStatus"]["order"]["status"] == "PLACED"
        order = await system.order(order_id)
        await system.control("POST", "fills", {"order_id": order["venueOrderId"], "qty": "90", "price": "190"})
        last = await watching.next()
        assert last["orderStatus"]["order"]["status"] == "FILLED"
