"""Due times after the database's clock was set back: no order waits for that time, and none is sent twice."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from db.account_seals import PostgresAccountSeals
from db.breaker_store import PostgresBreakerStore
from db.database import Database
from db.due_times import PostgresDueTimes
from db.order_store import PostgresOrderStore
from domain.ports.due_times import DueBounds
from tests.support.examples import accepted, cancel_asked
from tests.support.postgres_stores import VENUE
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)
DAY = timedelta(days=1)
NO_TIME = timedelta(0)
BOUNDS = DueBounds(lease=LEASE, cancel=timedelta(minutes=10), probe=timedelta(seconds=15))

# The stored times of everything are moved ahead, as the clock's being put back moves them.
PUT_BACK = """
UPDATE orders AS o SET submit_due_at = o.submit_due_at + $1::interval, lease_until = o.lease_until + $1::interval,
    last_attempt_at = o.last_attempt_at + $1::interval, maybe_sent_at = o.maybe_sent_at + $1::interval,
    cancel_due_at = o.cancel_due_at + $1::interval
"""
TIMES = ("id", "submit_due_at", "lease_until", "cancel_due_at", "maybe_sent_at")


@pytest.fixture
def due_times(database: Database) -> PostgresDueTimes:
    """Return the repair under test."""
    return PostgresDueTimes(database, VENUE)


async def _put_back(database: Database, by: timedelta) -> None:
    await database.fetch(PUT_BACK, by)


async def _due_in(database: Database, order_id: UUID, column: str = "submit_due_at") -> timedelta:
    """Return how far ahead the stored time is."""
    (row,) = await database.fetch(f"SELECT {column} - now() AS ahead FROM orders WHERE id = $1", order_id)  # noqa: S608 - our own name
    ahead: timedelta = row["ahead"]
    return ahead


async def _times(database: Database) -> Sequence[tuple[Any, ...]]:
    rows = await database.fetch(f"SELECT {', '.join(TIMES)} FROM orders ORDER BY id")  # noqa: S608 - our own names
    return [tuple(row[name] for name in TIMES) for row in rows]


async def test_nothing_is_repaired_while_the_clock_is_right(
    database: Database, store: PostgresOrderStore, clerk: Clerk, due_times: PostgresDueTimes
) -> None:
    _, claimed, waiting, placed = await clerk.store(4)
    await store.claim([claimed], lease=LEASE)
    await clerk.record({placed: [accepted(), cancel_asked()]})
    await store.claim_cancels([placed], lease=LEASE)
    await store.claim([waiting], lease=LEASE)
    await database.fetch("UPDATE orders SET submit_due_at = now() + $2::interval WHERE id = $1", waiting, DAY)
    before = await _times(database)

    assert await due_times.repair(BOUNDS) == 0

    assert await _times(database) == before


async def test_an_order_that_was_never_claimed_is_due_immediately(
    database: Database, store: PostgresOrderStore, clerk: Clerk, due_times: PostgresDueTimes
) -> None:
    (order_id,) = await clerk.store(1)
    await _put_back(database, DAY)
    assert await store.claim([order_id], lease=LEASE) == []

    assert await due_times.repair(BOUNDS) == 1

    assert len(await store.claim([order_id], lease=LEASE)) == 1


@pytest.mark.parametrize("put_back", [timedelta(minutes=1), DAY, 400 * DAY])
async def test_a_claim_whose_worker_crashed_ends_a_lease_after_the_repair_and_never_before(
    database: Database, store: PostgresOrderStore, clerk: Clerk, due_times: PostgresDueTimes, put_back: timedelta
) -> None:
    (order_id,) = await clerk.store(1)
    await store.claim([order_id], lease=LEASE)
    await _put_back(database, put_back)

    assert await due_times.repair(BOUNDS) == 1
    assert await due_times.repair(BOUNDS) == 0

    for column in ("submit_due_at", "lease_until"):
        assert LEASE - timedelta(seconds=5) < await _due_in(database, order_id, column) <= LEASE
    assert await store.claim([order_id], lease=LEASE) == []


async def test_an_order_that_waits_between_two_attempts_has_no_lease(
    database: Database, store: PostgresOrderStore, clerk: Clerk, due_times: PostgresDueTimes
) -> None:
    (order_id,) = await clerk.store(1)
    await store.claim([order_id], lease=LEASE)
    await database.fetch("UPDATE orders SET lease_until = NULL WHERE id = $1", order_id)
    await _put_back(database, DAY)

    await due_times.repair(BOUNDS)

    (row,) = await database.fetch("SELECT lease_until FROM orders WHERE id = $1", order_id)
    assert row["lease_until"] is None
    assert await _due_in(database, order_id) <= LEASE


async def test_what_may_have_been_sent_later_than_now_counts_as_sent_now_and_only_once(
    database: Database, store: PostgresOrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    await store.claim([order_id], lease=LEASE)
    await _put_back(database, DAY)
    await database.fetch("UPDATE orders SET submit_due_at = now() WHERE id = $1", order_id)

    (first,) = await store.claim([order_id], lease=NO_TIME)
    (second,) = await store.claim([order_id], lease=LEASE)

    sent_at: datetime | None = first.loaded.maybe_sent_at
    assert sent_at == first.claimed_at
    assert second.loaded.maybe_sent_at is not None
    assert second.loaded.maybe_sent_at <= second.claimed_at


async def test_an_order_that_was_never_claimed_may_not_have_been_sent(store: PostgresOrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)

    (claim,) = await store.claim([order_id], lease=LEASE)

    assert claim.loaded.maybe_sent_at is None


async def test_a_cancel_request_is_due_immediately(
    database: Database, store: PostgresOrderStore, clerk: Clerk, due_times: PostgresDueTimes
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted(), cancel_asked()]})
    await database.fetch("UPDATE orders SET cancel_due_at = now() WHERE id = $1", order_id)
    await store.claim_cancels([order_id], lease=LEASE)
    await _put_back(database, DAY)
    assert await store.claim_cancels([order_id], lease=LEASE) == []

    assert await due_times.repair(BOUNDS) == 1

    assert len(await store.claim_cancels([order_id], lease=LEASE)) == 1


async def test_an_open_circuit_is_probed_although_its_probe_lies_far_ahead(
    database: Database, store: PostgresOrderStore, clerk: Clerk, due_times: PostgresDueTimes
) -> None:
    (order_id,) = await clerk.store(1)
    breaker = PostgresBreakerStore(database, VENUE)
    await breaker.record_failure(error="away", threshold=1, open_for=timedelta(seconds=5))
    assert await due_times.repair(BOUNDS) == 0
    await database.fetch("UPDATE venue_gates SET probe_at = probe_at + $1::interval", DAY)
    assert await store.claim([order_id], lease=LEASE) == []

    assert await due_times.repair(BOUNDS) == 1

    (claim,) = await store.claim([order_id], lease=LEASE)
    assert claim.is_probe


async def test_a_lease_of_sealing_far_in_the_future_does_not_block_sealing(database: Database) -> None:
    seals, one, other = PostgresAccountSeals(database), UUID(int=1), UUID(int=2)
    assert await seals.lead(one, lease=LEASE)
    assert not await seals.lead(other, lease=LEASE)

    await database.fetch("UPDATE seal_lease SET lease_until = lease_until + $1::interval", DAY)

    assert await seals.lead(other, lease=LEASE)
    assert not await seals.lead(one, lease=LEASE)


async def test_the_repair_skips_locked_rows(
    database: Database, database_url: str, clerk: Clerk, due_times: PostgresDueTimes
) -> None:
    held, free = await clerk.store(2)
    await _put_back(database, DAY)
    async with _locked(database_url, held):
        assert await due_times.repair(BOUNDS) == 1

    assert await _due_in(database, free) <= NO_TIME


@asynccontextmanager
async def _locked(url: str, order_id: UUID) -> AsyncIterator[None]:
    """Run a concurrent transaction that has locked the order."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM orders WHERE id = $1 FOR UPDATE", order_id)
            yield
    finally:
        await connection.close()
