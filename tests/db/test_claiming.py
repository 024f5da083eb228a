"""Claiming: one attempt at a time, leases that end, cancel requests, and sweeping past what others hold."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from db.database import Database
from db.engine import open_database
from db.order_store import PostgresOrderStore
from domain.order import End
from domain.reports import CancelAsked
from tests.db.desk import Desk, accepted, ended, make_store, now
from tests.processes import eventually

LEASE = timedelta(seconds=30)
NO_TIME = timedelta(0)


async def test_of_many_workers_exactly_one_gets_each_order(database_url: str, desk: Desk) -> None:
    ids = await desk.accept(60)
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
    assert {claim.attempt for claims in batches for claim in claims} == {1}


async def test_a_claim_tells_the_attempt_and_the_databases_clock(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)

    (claim,) = await store.claim([order_id], lease=LEASE)

    assert (claim.attempt, claim.attempts, claim.maybe_sent_at) == (1, 1, None)
    loaded = (await store.load([order_id], []))[order_id]
    assert loaded.lease_until == claim.claimed_at + LEASE
    assert loaded.order == claim.order


async def test_a_lease_that_ended_unresolved_may_have_sent_until_its_end(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    (died,) = await store.claim([order_id], lease=timedelta(milliseconds=1))

    (claim,) = await eventually(lambda: store.claim([order_id], lease=LEASE), within_seconds=5)

    assert claim.attempt == 2
    assert claim.maybe_sent_at == died.claimed_at + timedelta(milliseconds=1)


async def test_nothing_is_claimed_while_a_lease_runs(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    await store.claim([order_id], lease=LEASE)

    assert await store.claim([order_id], lease=LEASE) == []
    assert await store.claim_due(limit=10, overdue_by=NO_TIME, lease=LEASE) == []


async def test_a_sweep_takes_the_longest_due_first_and_only_the_overdue(
    store: PostgresOrderStore, desk: Desk, database: Database
) -> None:
    ids = await desk.accept(3)
    for seconds, order_id in zip((10, 30, 1), ids, strict=True):
        overdue = timedelta(seconds=seconds)
        await database.fetch("UPDATE orders SET place_due_at = now() - $2::interval WHERE id = $1", order_id, overdue)
    oldest = await store.oldest_due()

    swept = await store.claim_due(limit=1, overdue_by=timedelta(seconds=5), lease=LEASE)
    rest = await store.claim_due(limit=5, overdue_by=timedelta(seconds=5), lease=LEASE)

    assert oldest is not None
    assert oldest >= timedelta(seconds=30)
    assert [claim.order.id for claim in swept] == [ids[1]]
    assert [claim.order.id for claim in rest] == [ids[0]]


async def test_a_sweep_does_not_wait_for_what_another_holds(
    database_url: str, store: PostgresOrderStore, desk: Desk
) -> None:
    held, free = await desk.accept(2)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM orders WHERE id = $1 FOR UPDATE", held)

            swept = await store.claim_due(limit=10, overdue_by=NO_TIME, lease=LEASE)
    finally:
        await other.close()

    assert [claim.order.id for claim in swept] == [free]


async def test_an_order_that_the_venue_has_is_never_claimed(store: PostgresOrderStore, desk: Desk) -> None:
    ids = await desk.accept(2)
    await desk.record({ids[0]: [accepted()], ids[1]: [ended(End.REJECTED)]})

    assert await store.claim(ids, lease=LEASE) == []
    assert await store.oldest_due() is None


async def test_the_tables_themselves_forbid_that_a_placed_order_is_due(desk: Desk, database: Database) -> None:
    (order_id,) = await desk.accept(1)
    await desk.record({order_id: [accepted()]})

    with pytest.raises(asyncpg.CheckViolationError, match="orders_place_due_at_check"):
        await database.fetch("UPDATE orders SET place_due_at = now() WHERE id = $1", order_id)


async def test_a_cancel_request_is_taken_by_one_until_its_time_is_over(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id, other) = await desk.accept(2)
    await desk.record({order_id: [accepted()]})
    await _ask_to_cancel(store, desk, order_id)

    taken = await asyncio.gather(*(store.claim_cancels([order_id, other], lease=LEASE) for _ in range(8)))

    assert [loaded.order.id for batch in taken for loaded in batch] == [order_id]
    assert await store.claim_due_cancels(limit=5, overdue_by=NO_TIME, lease=LEASE) == []


async def test_a_cancel_request_that_nobody_brought_is_swept(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    await _ask_to_cancel(store, desk, order_id)

    (swept,) = await store.claim_due_cancels(limit=5, overdue_by=NO_TIME, lease=LEASE)

    assert swept.order.id == order_id
    assert swept.order.facts.cancel.is_unsent


async def test_an_answered_cancel_request_is_not_due(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    await _ask_to_cancel(store, desk, order_id)
    await desk.record({order_id: [ended(End.CANCELED)]})

    assert await store.claim_cancels([order_id], lease=LEASE) == []


async def test_orders_open_at_the_venue_come_the_most_silent_first(store: PostgresOrderStore, desk: Desk) -> None:
    first, second, over, unsent = await desk.accept(4)
    for order_id in (second, first, over):
        await desk.record({order_id: [accepted(f"v-{order_id}")]})
    await desk.record({over: [ended(End.EXPIRED)]})

    silent = await store.open_at_venue(silent_for=NO_TIME, limit=5)
    recent = await store.open_at_venue(silent_for=timedelta(hours=1), limit=5)

    assert [loaded.order.id for loaded in silent] == [second, first]
    assert recent == []
    assert await store.ids_by_venue_order_id([f"v-{over}", "foreign"]) == {f"v-{over}": over}
    assert unsent not in {loaded.order.id for loaded in silent}


async def _ask_to_cancel(store: PostgresOrderStore, desk: Desk, order_id: UUID) -> None:
    (write,) = await desk.decide({order_id: [CancelAsked(at=now())]})
    await store.write([replace(write, cancel_in=NO_TIME)])
