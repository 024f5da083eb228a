"""Orders that wait too long to be at the venue are found by an index, however many other orders there are."""

from datetime import timedelta
from uuid import UUID

import pytest

from db.database import Database
from db.order_store import PostgresOrderStore
from db.waiting_orders import FIRST, WAITING, PostgresWaitingOrders, WaitingOrder
from domain.model.order import VenueRank
from domain.model.reports import OrderAccepted, SubmissionInDoubt
from domain.model.values import Reason, ReasonSource
from tests.support.examples import now
from tests.support.store_driver import Clerk

NO_TIME, LONG = timedelta(0), timedelta(hours=1)
UNKNOWN = Reason(source=ReasonSource.SYSTEM, code="OUTCOME_UNKNOWN", message="The answer was lost.")


@pytest.fixture
def clerk(store: PostgresOrderStore) -> Clerk:
    return Clerk(store)


async def _found(database: Database, *, in_doubt_for: timedelta, pending_for: timedelta) -> dict[UUID, bool]:
    found = await PostgresWaitingOrders(database).waiting(in_doubt_for=in_doubt_for, pending_for=pending_for, limit=100)
    assert all(order.age > NO_TIME for order in found)
    return {order.id: order.is_in_doubt for order in found}


async def test_orders_in_doubt_and_pending_are_distinguished_and_placed_ones_left_out(
    database: Database, clerk: Clerk
) -> None:
    pending, in_doubt, placed = await clerk.store(3)
    await clerk.record({in_doubt: [SubmissionInDoubt(reason=UNKNOWN, at=now())]})
    await clerk.record({placed: [OrderAccepted(venue_order_id="v-1", rank=VenueRank.ACCEPTED, at=now())]})

    assert await _found(database, in_doubt_for=NO_TIME, pending_for=NO_TIME) == {pending: False, in_doubt: True}
    assert await _found(database, in_doubt_for=NO_TIME, pending_for=LONG) == {in_doubt: True}
    assert await _found(database, in_doubt_for=LONG, pending_for=NO_TIME) == {pending: False}


async def test_all_are_found_portion_by_portion(database: Database, clerk: Clerk) -> None:
    stored, found, after = await clerk.store(5), list[WaitingOrder](), FIRST
    waiting = PostgresWaitingOrders(database).waiting
    while portion := await waiting(in_doubt_for=NO_TIME, pending_for=NO_TIME, limit=2, after=after):
        found += portion
        after = portion[-1].place

    assert sorted(order.id for order in found) == sorted(stored)


async def test_the_question_reads_only_what_is_still_to_be_placed(database: Database, clerk: Clerk) -> None:
    ids = await clerk.store(600)
    for order_id in ids[:590]:
        await database.fetch("UPDATE orders SET submit_due_at = NULL WHERE id = $1", order_id)
    await database.fetch("ANALYZE orders")

    plan = await database.fetch(f"EXPLAIN {WAITING}", LONG, LONG, 500, *FIRST)

    lines = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "orders_submit_due" in lines
    assert "Seq Scan" not in lines
