"""OrderStore, how attempts end: fences, released leases, the budget, and orders canceled before they were sent."""

from datetime import timedelta

import pytest

from domain.model.errors import VersionConflictError
from domain.model.order import CANCELED_BEFORE_SENDING, End, OrderStatus
from domain.ports.order_store import AttemptEnd, OrderStore
from tests.support.examples import accepted, became_unknown, ended
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)
NO_TIME = timedelta(0)


def an_end(
    *,
    attempt: int = 1,
    error: str | None = None,
    counts: bool = True,
    may_have_been_sent: bool = False,
    next_in: timedelta | None = None,
) -> AttemptEnd:
    return AttemptEnd(
        attempt=attempt, error=error, counts=counts, may_have_been_sent=may_have_been_sent, next_in=next_in
    )


async def test_a_placed_order_is_not_due_any_more(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await store.claim([order_id], lease=LEASE)

    (change,) = await store.write(await clerk.decide({order_id: [accepted()]}, attempt_end=an_end()))

    assert change.order.status is OrderStatus.PLACED
    assert (change.order.placement.attempts, change.order.placement.next_attempt_at) == (1, None)
    assert await store.oldest_due() is None
    assert (await store.load([order_id]))[order_id].lease_until is None


async def test_an_attempt_that_failed_is_due_again_after_its_delay(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await store.claim([order_id], lease=LEASE)
    end = an_end(error="refused", next_in=timedelta(seconds=7))

    assert not await store.write(await clerk.decide({order_id: []}, attempt_end=end))

    loaded = (await store.load([order_id]))[order_id]
    assert (loaded.attempts, loaded.lease_until, loaded.maybe_sent_at) == (1, None, None)
    assert await store.claim([order_id], lease=LEASE) == []


async def test_an_attempt_that_does_not_count_leaves_the_budget_as_it_was(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await store.claim([order_id], lease=LEASE)
    await store.write(await clerk.decide({order_id: []}, attempt_end=an_end(counts=False, next_in=NO_TIME)))

    (again,) = await store.claim([order_id], lease=LEASE)

    assert (again.loaded.attempt, again.loaded.attempts, again.loaded.maybe_sent_at) == (2, 1, None)


async def test_an_unknown_outcome_leaves_when_it_may_have_been_sent(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    (claim,) = await store.claim([order_id], lease=LEASE)
    end = an_end(error="lost", may_have_been_sent=True, next_in=NO_TIME)

    (change,) = await store.write(await clerk.decide({order_id: [became_unknown()]}, attempt_end=end))

    assert change.order.status is OrderStatus.IN_DOUBT
    assert change.order.placement.last_error == "lost"
    (again,) = await store.claim([order_id], lease=LEASE)
    assert again.loaded.attempts == 2
    assert again.loaded.maybe_sent_at is not None
    assert again.loaded.maybe_sent_at >= claim.claimed_at


async def test_an_attempt_that_was_overtaken_can_write_nothing(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await store.claim([order_id], lease=NO_TIME)
    await store.claim([order_id], lease=LEASE)

    with pytest.raises(VersionConflictError):
        await store.write(await clerk.decide({order_id: [accepted()]}, attempt_end=an_end(attempt=1)))

    assert (await store.load([order_id]))[order_id].order.status is OrderStatus.PENDING


async def test_an_order_is_canceled_here_only_if_it_was_never_sent(store: OrderStore, clerk: Clerk) -> None:
    never_sent, under_way, maybe_sent = await clerk.store(3)
    await store.claim([under_way, maybe_sent], lease=LEASE)
    end = an_end(error="lost", may_have_been_sent=True, next_in=LEASE)
    await store.write(await clerk.decide({maybe_sent: []}, attempt_end=end))
    canceled = ended(End.CANCELED, reason=CANCELED_BEFORE_SENDING)

    await store.write(await clerk.decide({never_sent: [canceled]}, unclaimed=True))
    for order_id in (under_way, maybe_sent):
        with pytest.raises(VersionConflictError):
            await store.write(await clerk.decide({order_id: [canceled]}, unclaimed=True))

    assert await store.claim([never_sent], lease=LEASE) == []
