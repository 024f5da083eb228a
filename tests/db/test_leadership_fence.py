"""The fence of a leader and a takeover by the next one: the first of the two makes the other wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from db.database import Database
from db.order_store import PostgresOrderStore
from db.stream_positions import PostgresLeadershipLease
from domain.model.errors import LeadershipLostError
from domain.ports.ingest_state import Fence, HeldLease
from domain.ports.order_store import OrderWrite
from tests.support.examples import accepted
from tests.support.postgres_stores import VENUE
from tests.support.processes import eventually
from tests.support.store_driver import Clerk

NO_TIME = timedelta(0)
LEASE = timedelta(seconds=30)
OLD, NEW = UUID(int=1), UUID(int=2)


@pytest.fixture
def lease(database: Database) -> PostgresLeadershipLease:
    """Return the lease under test."""
    return PostgresLeadershipLease(database)


@pytest.fixture
async def old_leader(lease: PostgresLeadershipLease) -> Fence:
    """Return the fence of a leader whose lease has ended without its knowledge."""
    fence = await lease.acquire(VENUE, leader_id=OLD, lease=NO_TIME)
    assert isinstance(fence, Fence)
    return fence


@pytest.fixture
async def writes(clerk: Clerk) -> list[OrderWrite]:
    """Return the next writes of an old leader."""
    (order_id,) = await clerk.store(1)
    return await clerk.decide({order_id: [accepted()]})


@asynccontextmanager
async def _transaction(url: str, statement: str) -> AsyncIterator[None]:
    """Run a concurrent transaction with the statement, which commits at the end of the block."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(statement)
            yield
    finally:
        await connection.close()


async def _waiting(database: Database) -> int:
    """How many statements wait for a lock."""
    (row,) = await database.fetch(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    count: int = row["n"]
    return count


async def test_a_takeover_waits_for_the_batch_that_is_being_written(
    database: Database,
    database_url: str,
    store: PostgresOrderStore,
    old_leader: Fence,
    writes: list[OrderWrite],
) -> None:
    async with _transaction(database_url, "SELECT FROM accounts FOR UPDATE"):
        writing = asyncio.create_task(store.write(writes, fence=old_leader))
        await eventually(lambda: _has_waiting(database, 1), within_seconds=1, what="the batch waits for its account")
        taking = asyncio.create_task(PostgresLeadershipLease(database).acquire(VENUE, leader_id=NEW, lease=LEASE))
        await eventually(lambda: _has_waiting(database, 2), within_seconds=1, what="the takeover waits for the batch")

    assert len(await writing) == 1
    assert await taking == Fence(venue=VENUE, epoch=old_leader.epoch + 1)


async def test_a_batch_waits_for_a_takeover_and_then_writes_nothing(
    database: Database, database_url: str, store: PostgresOrderStore, old_leader: Fence, writes: list[OrderWrite]
) -> None:
    async with _transaction(database_url, "UPDATE stream_positions SET epoch = epoch + 1"):
        writing = asyncio.create_task(store.write(writes, fence=old_leader))
        await eventually(lambda: _has_waiting(database, 1), within_seconds=1, what="the batch waits for the takeover")

    with pytest.raises(LeadershipLostError):
        await writing
    (order,) = (await store.load([writes[0].order.id])).values()
    assert order.order.version == writes[0].read_version


async def test_a_caller_for_a_valid_lease_delays_no_other(
    database_url: str, lease: PostgresLeadershipLease, old_leader: Fence
) -> None:
    assert await lease.renew(old_leader, lease=LEASE)

    async with _transaction(database_url, "SELECT FROM stream_positions FOR UPDATE"):
        assert isinstance(await lease.acquire(VENUE, leader_id=NEW, lease=LEASE), HeldLease)


async def test_only_one_of_many_concurrent_callers_leads(lease: PostgresLeadershipLease) -> None:
    fences = await asyncio.gather(
        *(lease.acquire(VENUE, leader_id=UUID(int=number), lease=LEASE) for number in range(1, 9))
    )

    assert [fence for fence in fences if isinstance(fence, Fence)] == [Fence(venue=VENUE, epoch=1)]


async def _has_waiting(database: Database, count: int) -> bool:
    return await _waiting(database) >= count
