"""Parts that are down: the API answers as before, and everything is made up for when they return."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.support.processes import eventually
from tests.support.proxy import Proxy, proxied
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system

QUICK = {
    "PLACEMENT_BACKOFF_SECONDS": "0.3",
    "PLACEMENT_BACKOFF_MAX_SECONDS": "1",
    "PLACEMENT_TIMEOUT_SECONDS": "0.5",
    "PLACEMENT_SETTLE_SECONDS": "1",
    "SWEEP_OVERDUE_SECONDS": "0.5",
}
PLACED_WITHIN_SECONDS = 20.0
READY_WITHIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A system, and the proxies between it and its servers."""

    system: System
    database: Proxy
    redis: Proxy

    async def is_whole(self) -> bool:
        """Whether the API has its servers, and ingest the exchange's stream."""
        async with self.system.session.get(f"{self.system.probes_url('api')}/readyz") as response:
            return response.status == 200 and await self.system.metric("stream_connected", head="ingest") == 1


@pytest.fixture(scope="module")
async def shared_served(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[Served]:
    """One system for all outages; its API, worker and ingest run."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    async with (
        proxied(database_url) as (database, to_database),
        proxied(redis_url) as (redis, to_redis),
        open_system(database_url=to_database, redis_url=to_redis, settings=QUICK) as system,
    ):
        await system.start("api", "worker", "ingest")
        yield Served(system=system, database=database, redis=redis)


@pytest.fixture
async def served(shared_served: Served) -> AsyncIterator[Served]:
    """Return the system, undisturbed before and after the test."""
    yield shared_served
    for server in (shared_served.database, shared_served.redis):
        await server.restore()
    await shared_served.system.calm_exchange()
    await eventually(shared_served.is_whole, within_seconds=READY_WITHIN_SECONDS, what="the outage is over")


@pytest.fixture
def system(served: Served) -> System:
    """Return the system without proxies, for an outage of its own processes."""
    return served.system


async def test_an_order_waits_for_an_exchange_that_is_gone_and_is_placed_when_it_returns(system: System) -> None:
    await system.kill("exchange")

    started = time.monotonic()
    order_id = await system.placed_id()
    answered_within = time.monotonic() - started

    async def was_tried() -> Json | None:
        order = await system.order(order_id)
        return order if order["placement"]["lastError"] and not order["placement"]["attempts"] else None

    waiting = await eventually(was_tried, within_seconds=10, what="a connection was refused, which is no attempt")
    await system.start("exchange")
    placed = await system.becomes(order_id, "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
    assert answered_within < 1
    assert waiting["status"] == "PENDING"
    assert waiting["placement"]["nextAttemptAt"] is not None
    assert waiting["placement"]["maxAttempts"] == 5
    assert placed["placement"]["attempts"] == 1


async def test_an_exchange_that_stays_down_makes_an_order_fail_with_a_reason(system: System) -> None:
    failed_before = await system.metric("orders_failed_total", head="worker")
    await system.control("PUT", "faults", {"down": True})

    order_id = await system.placed_id()

    failed = await system.becomes(order_id, "FAILED", within_seconds=30)
    assert failed["isFinal"]
    assert failed["placement"]["attempts"] == 5
    assert failed["reason"]["code"] == "ATTEMPTS_USED_UP"
    assert "not executed" in failed["reason"]["message"]

    async def is_counted_once() -> bool:
        return await system.metric("orders_failed_total", head="worker") == failed_before + 1

    await eventually(is_counted_once, within_seconds=5, what="the worker counts the failed order, after its commit")
    await system.processes["worker"].shows("order_failed", within_seconds=1)


async def test_orders_are_accepted_and_placed_while_redis_is_gone(served: Served) -> None:
    await served.redis.take_away()

    order_id = await served.system.placed_id()

    await served.system.becomes(order_id, "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
    await _can_be_watched(served.system, order_id)


async def test_a_redis_that_hangs_does_not_slow_the_api_down(served: Served) -> None:
    served.redis.hang()

    started = time.monotonic()
    order_id = await served.system.placed_id()
    answered_within = time.monotonic() - started

    await served.system.becomes(order_id, "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
    assert answered_within < 1


@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
async def test_without_a_database_nothing_is_promised_stored_or_placed(served: Served, *, hangs: bool) -> None:
    system = served.system
    orders_before = len(await system.journal("order"))
    during = f"during-{hangs}"
    earlier_id = await system.placed_id()
    await _interrupt(served.database, hangs=hangs)

    started = time.monotonic()
    result = await system.place(client_order_id=during)
    answered_within = time.monotonic() - started

    assert result["__typename"] == "Unavailable"
    assert answered_within < 2.5
    await served.database.restore()
    repeated = await eventually(
        lambda: _placed_again(system, client_order_id=during), within_seconds=10, what="the database is back"
    )
    assert repeated["__typename"] == "PlaceOrderSuccess"
    for order_id in (earlier_id, repeated["order"]["id"]):
        await system.becomes(order_id, "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
    assert len(await system.journal("order")) == orders_before + 2


async def test_a_worker_killed_while_it_sends_neither_loses_nor_doubles_the_order(system: System) -> None:
    orders_before = len(await system.journal("order"))
    await system.control("PUT", "faults", {"latency_ms": 450})
    order_id = await system.placed_id()
    await eventually(lambda: _was_claimed(system, order_id), within_seconds=5, what="an attempt runs")

    await system.kill("worker")
    await system.start("worker")

    await system.becomes(order_id, "PLACED", within_seconds=PLACED_WITHIN_SECONDS)
    assert len(await system.journal("order")) == orders_before + 1


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
    """Assert that a subscription opens, and receives a later change, without Redis."""
    watch = "subscription Watch($id: ID!) { orderStatus(orderId: $id) { kind order { status } } }"
    async with system.socket() as socket:
        watching = await socket.subscribe(watch, {"id": order_id})
        first = await watching.next()
        assert first["orderStatus"]["order"]["status"] == "PLACED"
        order = await system.order(order_id)
        await system.control("POST", "fills", {"order_id": order["venueOrderId"], "qty": "90", "price": "190"})
        last = await watching.next()
        assert last["orderStatus"]["order"]["status"] == "FILLED"
