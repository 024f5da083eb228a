"""OrderStore, claiming: one attempt at a time, leases that end, cancel requests, and what is swept."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from domain.model.order import End
from domain.model.reports import Report
from domain.ports.order_store import Claim, OrderStore
from tests.support.examples import accepted, cancel_asked, ended, name_of, refused
from tests.support.processes import eventually
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)
NO_TIME = timedelta(0)
MOMENT = timedelta(milliseconds=1)


async def test_a_claim_returns_the_attempt_and_the_stores_clock(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)

    (claim,) = await store.claim([order_id], lease=LEASE)

    assert (claim.loaded.attempt, claim.loaded.attempts, claim.loaded.maybe_sent_at) == (1, 1, None)
    loaded = (await store.load([order_id]))[order_id]
    assert (loaded.attempt, loaded.attempts) == (1, 1)
    assert loaded.lease_until == claim.claimed_at + LEASE
    assert loaded.order == claim.order


async def test_of_many_calls_exactly_one_gets_each_order(store: OrderStore, clerk: Clerk) -> None:
    ids = await clerk.store(6)

    named = asyncio.gather(*(store.claim(ids[:4], lease=LEASE) for _ in range(8)))
    swept = asyncio.gather(*(store.claim_due(limit=3, overdue_by=NO_TIME, lease=LEASE) for _ in range(8)))

    claims = [claim.order.id for batch in [*await named, *await swept] for claim in batch]
    assert sorted(claims) == sorted(ids)


async def test_an_unknown_order_is_not_claimed(store: OrderStore) -> None:
    assert await store.claim([UUID(int=1)], lease=LEASE) == []
    assert await store.claim_cancels([UUID(int=1)], lease=LEASE) == []


async def test_nothing_is_claimed_while_a_lease_runs(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await store.claim([order_id], lease=LEASE)

    assert await store.claim([order_id], lease=LEASE) == []
    assert await store.claim_due(limit=10, overdue_by=NO_TIME, lease=LEASE) == []
    assert await store.oldest_due() is None


async def test_a_lease_that_ended_unresolved_may_have_sent_until_its_end(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    (died,) = await store.claim([order_id], lease=MOMENT)

    (claim,) = await eventually(lambda: store.claim([order_id], lease=LEASE), within_seconds=5)

    assert (claim.loaded.attempt, claim.loaded.attempts) == (2, 2)
    assert claim.loaded.maybe_sent_at == died.claimed_at + MOMENT


async def test_a_sweep_takes_the_longest_due_first_and_only_the_overdue(store: OrderStore, clerk: Clerk) -> None:
    ids = [order_id for _ in range(3) for order_id in await clerk.store(1)]

    early = await store.claim_due(limit=5, overdue_by=timedelta(hours=1), lease=LEASE)
    first = await store.claim_due(limit=1, overdue_by=NO_TIME, lease=LEASE)
    rest = await store.claim_due(limit=5, overdue_by=NO_TIME, lease=LEASE)

    assert early == []
    assert [claim.order.id for claim in first] == ids[:1]
    assert {claim.order.id for claim in rest} == set(ids[1:])


async def test_an_order_that_the_venue_has_is_never_claimed(store: OrderStore, clerk: Clerk) -> None:
    ids = await clerk.store(4)
    reports: list[list[Report]] = [[accepted()], [ended(End.REJECTED)], [refused()], [refused(), accepted()]]
    await clerk.record(dict(zip(ids, reports, strict=True)))

    assert await store.claim(ids, lease=LEASE) == []
    assert await store.claim_due(limit=10, overdue_by=NO_TIME, lease=LEASE) == []
    assert await store.oldest_due() is None


async def test_a_cancel_request_is_taken_by_one_until_its_time_is_over(store: OrderStore, clerk: Clerk) -> None:
    order_id, other = await clerk.store(2)
    await clerk.record({order_id: [accepted()]})
    await _ask_to_cancel(clerk, order_id)

    taken = await asyncio.gather(*(store.claim_cancels([order_id, other], lease=LEASE) for _ in range(8)))

    assert [loaded.order.id for batch in taken for loaded in batch] == [order_id]
    assert await store.claim_due_cancels(limit=5, overdue_by=NO_TIME, lease=LEASE) == []


async def test_a_cancel_request_that_was_not_sent_is_swept(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await _ask_to_cancel(clerk, order_id)

    early = await store.claim_due_cancels(limit=5, overdue_by=timedelta(hours=1), lease=LEASE)
    (swept,) = await store.claim_due_cancels(limit=5, overdue_by=NO_TIME, lease=MOMENT)

    assert early == []
    assert swept.order.id == order_id
    assert swept.order.facts.cancel.is_unsent
    again = await eventually(lambda: store.claim_cancels([order_id], lease=LEASE), within_seconds=5)
    assert [loaded.order.id for loaded in again] == [order_id]


async def test_an_answered_cancel_request_is_not_due(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await _ask_to_cancel(clerk, order_id)
    await clerk.record({order_id: [ended(End.CANCELED)]})

    assert await store.claim_cancels([order_id], lease=LEASE) == []


async def test_orders_open_at_the_venue_are_sorted_by_silence(store: OrderStore, clerk: Clerk) -> None:
    first, second, over, unsent = await clerk.store(4)
    for order_id in (second, first, over):
        await clerk.record({order_id: [accepted(venue_order_id=f"v-{order_id}")]})
    await clerk.record({over: [ended(End.EXPIRED)]})

    silent = await store.open_at_venue(silent_for=NO_TIME, limit=5)
    most_silent = await store.open_at_venue(silent_for=NO_TIME, limit=1)
    recent = await store.open_at_venue(silent_for=timedelta(hours=1), limit=5)

    assert [loaded.order.id for loaded in silent] == [second, first]
    assert unsent not in {loaded.order.id for loaded in silent}
    assert [loaded.order.id for loaded in most_silent] == [second]
    assert recent == []


async def test_a_writer_whose_clock_is_ahead_hides_no_order_from_the_look_for_silent_ones(
    store: OrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    (write,) = await clerk.decide({order_id: [accepted()]})
    ahead = replace(write.order, updated_at=write.order.updated_at + timedelta(hours=1))
    await store.write([replace(write, order=ahead)])

    silent = await store.open_at_venue(silent_for=timedelta(minutes=1), limit=5)

    assert [loaded.order.id for loaded in silent] == [order_id]


async def test_orders_are_known_by_the_venues_ids(store: OrderStore, clerk: Clerk) -> None:
    order_id, _ = await clerk.store(2)
    await clerk.record({order_id: [accepted(venue_order_id="V7")]})

    assert await store.venue_client_order_ids(["V7", "external"]) == {"V7": name_of(order_id)}
    assert await store.venue_client_order_ids([]) == {}


async def _ask_to_cancel(clerk: Clerk, order_id: UUID) -> None:
    (write,) = await clerk.decide({order_id: [cancel_asked()]})
    await clerk.orders.write([replace(write, cancel_in=NO_TIME)])


async def test_a_claim_holds_until_it_is_too_old_for_the_question(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    (claim,) = await store.claim([order_id], lease=LEASE)

    assert await store.holds_claim(claim, within=LEASE / 2)
    await eventually(lambda: not_held(store, claim), within_seconds=5)


async def not_held(store: OrderStore, claim: Claim) -> bool:
    return not await store.holds_claim(claim, within=MOMENT)


async def test_a_claim_does_not_hold_after_another_one_of_the_same_order(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    (old,) = await store.claim([order_id], lease=NO_TIME)
    (new,) = await store.claim([order_id], lease=LEASE)

    assert not await store.holds_claim(old, within=LEASE)
    assert await store.holds_claim(new, within=LEASE)


async def test_a_claim_does_not_hold_once_its_attempt_has_ended(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    (claim,) = await store.claim([order_id], lease=LEASE)
    await clerk.record({order_id: [accepted()]})

    assert not await store.holds_claim(claim, within=LEASE)
