"""How attempts end: fences, leases let go, the budget, and orders that are canceled before they were ever sent."""

from datetime import timedelta

import pytest

from db.database import Database
from db.order_store import PostgresOrderStore
from domain.errors import StaleWrite
from domain.order import End, OrderStatus
from domain.ports import AttemptEnd
from domain.reports import PlacementBecameUnknown
from domain.values import Reason, ReasonSource
from tests.db.desk import Desk, accepted, ended, now

LEASE = timedelta(seconds=30)
ACCOUNT_ASKED = Reason(source=ReasonSource.ACCOUNT, code="CANCEL_REQUESTED", message="Canceled before it was sent.")


async def test_a_placed_order_is_not_due_any_more(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    (claim,) = await store.claim([order_id], lease=LEASE)
    end = AttemptEnd(attempt=claim.attempt, error=None, counts=True, may_have_been_sent=False, next_in=None)

    (change,) = await store.write(await desk.decide({order_id: [accepted()]}, attempt_end=end))

    assert change.order.status is OrderStatus.PLACED
    assert (change.order.placement.attempts, change.order.placement.next_attempt_at) == (1, None)
    assert await store.oldest_due() is None
    assert (await store.load([order_id], []))[order_id].lease_until is None


async def test_an_attempt_that_failed_is_due_again_and_may_be_handed_back(
    store: PostgresOrderStore, desk: Desk, database: Database
) -> None:
    (order_id,) = await desk.accept(1)
    (claim,) = await store.claim([order_id], lease=LEASE)
    end = AttemptEnd(
        attempt=claim.attempt, error="429\x00", counts=False, may_have_been_sent=False, next_in=timedelta(seconds=7)
    )

    assert await store.write(await desk.decide({order_id: []}, attempt_end=end)) == []

    (row,) = await database.fetch("SELECT *, place_due_at - now() AS due_in FROM orders")
    assert timedelta(seconds=4) < row["due_in"] <= timedelta(seconds=7)
    assert (row["attempt"], row["attempts"], row["last_error"]) == (1, 0, "429\ufffd")
    assert (row["lease_until"], row["maybe_sent_at"]) == (None, None)


async def test_an_unknown_outcome_leaves_when_it_may_have_been_sent(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    (claim,) = await store.claim([order_id], lease=LEASE)
    end = AttemptEnd(attempt=1, error="lost", counts=True, may_have_been_sent=True, next_in=timedelta(0))
    unknown = PlacementBecameUnknown(reason=ACCOUNT_ASKED, at=now())

    (change,) = await store.write(await desk.decide({order_id: [unknown]}, attempt_end=end))

    assert change.order.status is OrderStatus.IN_DOUBT
    (again,) = await store.claim([order_id], lease=LEASE)
    assert again.attempts == 2
    assert again.maybe_sent_at is not None
    assert again.maybe_sent_at >= claim.claimed_at


async def test_an_attempt_that_was_overtaken_can_write_nothing(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    await store.claim([order_id], lease=timedelta(0))
    await store.claim([order_id], lease=LEASE)
    first = AttemptEnd(attempt=1, error=None, counts=True, may_have_been_sent=False, next_in=None)

    with pytest.raises(StaleWrite):
        await store.write(await desk.decide({order_id: [accepted()]}, attempt_end=first))


async def test_an_order_is_canceled_here_only_if_it_was_never_sent(store: PostgresOrderStore, desk: Desk) -> None:
    never_sent, under_way, maybe_sent = await desk.accept(3)
    await store.claim([under_way, maybe_sent], lease=LEASE)
    end = AttemptEnd(attempt=1, error="lost", counts=True, may_have_been_sent=True, next_in=LEASE)
    await store.write(await desk.decide({maybe_sent: []}, attempt_end=end))
    canceled = ended(End.CANCELED, ACCOUNT_ASKED)

    await store.write(await desk.decide({never_sent: [canceled]}, unclaimed=True))
    for order_id in (under_way, maybe_sent):
        with pytest.raises(StaleWrite):
            await store.write(await desk.decide({order_id: [canceled]}, unclaimed=True))

    assert await store.claim([never_sent], lease=LEASE) == []
