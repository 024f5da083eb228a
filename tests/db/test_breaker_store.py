"""The circuit breaker in PostgreSQL: several workers and processes, what is shown meanwhile, and the cost of
claiming.
"""

import asyncio
import re
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from db.breaker_store import PostgresBreakerStore
from db.database import Database
from db.engine import open_database
from db.order_claimer import CLAIM, CLAIM_DUE
from db.order_reader import PostgresOrderReader
from db.order_store import PostgresOrderStore
from db.rate_budget_store import PostgresRateBudgetStore
from tests.support.postgres_stores import VENUE, make_store
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)
NO_TIME = timedelta(0)
LONG = timedelta(minutes=1)
WAITING_ORDERS = 3000


@pytest.fixture
def breaker(database: Database) -> PostgresBreakerStore:
    """Return the breaker of the store's venue."""
    return PostgresBreakerStore(database, VENUE)


async def test_of_many_workers_of_two_processes_one_probes(
    database_url: str, breaker: PostgresBreakerStore, clerk: Clerk
) -> None:
    ids = await clerk.store(40)
    await breaker.record_failure(error="down", threshold=1, open_for=NO_TIME)
    async with (
        open_database(database_url, application_name="worker 1") as one,
        open_database(database_url, application_name="worker 2") as two,
    ):
        workers = [make_store(database) for database in (one, two)] * 8

        named = asyncio.gather(*(worker.claim(ids, lease=LEASE) for worker in workers))
        swept = asyncio.gather(*(worker.claim_due(limit=10, overdue_by=NO_TIME, lease=LEASE) for worker in workers))
        claims = [claim for batch in [*await named, *await swept] for claim in batch]

    assert [claim.is_probe for claim in claims] == [True]


async def test_another_venues_breaker_delays_nothing(
    database: Database, store: PostgresOrderStore, clerk: Clerk
) -> None:
    ids = await clerk.store(2)
    await PostgresBreakerStore(database, "ELSEWHERE").pause(wait=LONG, error="too many")

    assert len(await store.claim(ids, lease=LEASE)) == 2


async def test_a_pause_stored_before_the_clock_was_put_back_holds_nothing_up_and_is_replaced_by_the_next(
    database: Database, breaker: PostgresBreakerStore, store: PostgresOrderStore, clerk: Clerk
) -> None:
    ids = await clerk.store(1)
    budgets = PostgresRateBudgetStore(database, "key", VENUE)
    await breaker.pause(wait=timedelta(hours=1), error="HTTP 429")

    assert (await budgets.read()).paused_until is None
    assert (await breaker.state()).held_for == NO_TIME
    assert len(await store.claim(ids, lease=LEASE)) == 1
    assert (await breaker.pause(wait=timedelta(seconds=30), error="HTTP 429")).is_new
    assert NO_TIME < (await breaker.state()).held_for <= timedelta(seconds=30)


async def test_people_see_when_a_waiting_order_is_tried_at_the_earliest_and_why(
    database: Database, breaker: PostgresBreakerStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    reader = PostgresOrderReader(database)
    before = await _placement(reader, order_id)

    await breaker.pause(wait=LONG, error="too many requests")

    held = await _placement(reader, order_id)
    assert before[1] is None
    assert before[0] + LONG - LEASE < held[0]
    assert held[1] == "too many requests"


async def test_once_the_circuit_closes_they_see_the_orders_own_time_again(
    database: Database, breaker: PostgresBreakerStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    reader = PostgresOrderReader(database)
    before = await _placement(reader, order_id)
    await breaker.record_failure(error="down", threshold=1, open_for=LONG)

    await breaker.record_success()

    assert await _placement(reader, order_id) == before


async def test_behind_an_open_circuit_no_order_is_read(
    database: Database, breaker: PostgresBreakerStore, clerk: Clerk
) -> None:
    ids = await clerk.store(WAITING_ORDERS)
    await breaker.pause(wait=LONG, error="too many requests")

    swept = await _plan(database, CLAIM_DUE, LEASE, VENUE, NO_TIME, 64)
    named = await _plan(database, CLAIM, LEASE, VENUE, ids[:50])

    for plan in (swept, named):
        assert re.search(r"One-Time Filter|never executed", plan), plan
        assert max(_rows(plan)) <= 1, plan


async def test_claiming_reads_no_more_than_it_claims(database: Database, clerk: Clerk) -> None:
    ids = await clerk.store(WAITING_ORDERS)
    await database.fetch("ANALYZE orders")

    swept = await _plan(database, CLAIM_DUE, LEASE, VENUE, NO_TIME, 64)
    named = await _plan(database, CLAIM, LEASE, VENUE, ids[-50:])

    assert max(_rows(swept)) <= 64, swept
    assert max(_rows(named)) <= 50, named


async def _placement(reader: PostgresOrderReader, order_id: UUID) -> tuple[datetime, str | None]:
    order = await reader.order(order_id, account_ids=None)
    assert order is not None
    assert order.placement.next_attempt_at is not None
    return order.placement.next_attempt_at, order.placement.last_error


async def _plan(database: Database, statement: str, *arguments: object) -> str:
    """Return the plan and the work of each of its steps."""
    rows = await database.fetch(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}", *arguments)
    return "\n".join(row["QUERY PLAN"] for row in rows)


def _rows(plan: str) -> list[float]:
    return [float(number) for number in re.findall(r"actual rows=([\d.]+)", plan)]
