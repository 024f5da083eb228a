"""Claiming by several concurrent processes: each order by one of them, and sweeping skips claimed ones."""

import asyncio
from collections import Counter
from datetime import timedelta

import asyncpg
import pytest

from db.database import Database
from db.engine import open_database
from db.order_store import PostgresOrderStore
from tests.support.examples import accepted
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)
NO_TIME = timedelta(0)


async def test_of_many_workers_exactly_one_gets_each_order(database_url: str, clerk: Clerk) -> None:
    ids = await clerk.store(60)
    async with (
        open_database(database_url, application_name="worker 1") as one,
        open_database(database_url, application_name="worker 2") as two,
    ):
        workers = [make_store(database) for database in (one, two)] * 8

        named = asyncio.gather(*(worker.claim(ids[:30], lease=LEASE) for worker in workers))
        swept = asyncio.gather(*(worker.claim_due(limit=10, overdue_by=NO_TIME, lease=LEASE) for worker in workers))
        batches = [*(await named), *(await swept)]

    claims = Counter(claim.order.id for claims in batches for claim in claims)
    assert claims == Counter(ids)
    assert {claim.loaded.attempt for claims in batches for claim in claims} == {1}


async def test_a_sweep_takes_the_longest_due_first_and_only_the_overdue(
    store: PostgresOrderStore, clerk: Clerk, database: Database
) -> None:
    ids = await clerk.store(3)
    for seconds, order_id in zip((10, 30, 1), ids, strict=True):
        overdue = timedelta(seconds=seconds)
        await database.fetch("UPDATE orders SET submit_due_at = now() - $2::interval WHERE id = $1", order_id, overdue)
    oldest = await store.oldest_due()

    swept = await store.claim_due(limit=1, overdue_by=timedelta(seconds=5), lease=LEASE)
    rest = await store.claim_due(limit=5, overdue_by=timedelta(seconds=5), lease=LEASE)

    assert oldest is not None
    assert oldest >= timedelta(seconds=30)
    assert [claim.order.id for claim in swept] == [ids[1]]
    assert [claim.order.id for claim in rest] == [ids[0]]


async def test_a_sweep_does_not_wait_for_what_another_holds(
    database_url: str, store: PostgresOrderStore, clerk: Clerk
) -> None:
    held, free = await clerk.store(2)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM orders WHERE id = $1 FOR UPDATE", held)

            swept = await store.claim_due(limit=10, overdue_by=NO_TIME, lease=LEASE)
    finally:
        await other.close()

    assert [claim.order.id for claim in swept] == [free]


async def test_the_tables_themselves_forbid_that_a_placed_order_is_due(clerk: Clerk, database: Database) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted()]})

    with pytest.raises(asyncpg.CheckViolationError, match="orders_submit_due_at_check"):
        await database.fetch("UPDATE orders SET submit_due_at = now() WHERE id = $1", order_id)
