"""BreakerStore, and its effect on the order store: no claims while the circuit is open, then one order at a time."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.ports.breaker_store import BreakerStore, BreakerUpdate
from domain.ports.order_store import OrderStore
from tests.contracts.stores import Adapters
from tests.support.examples import accepted, cancel_asked
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)
NO_TIME = timedelta(0)
LONG = timedelta(seconds=100)


@pytest.fixture
def breaker(adapters: Adapters) -> BreakerStore:
    """Return the breaker under test."""
    return adapters.breaker


async def failed(breaker: BreakerStore, *, threshold: int = 3, open_for: timedelta = LONG) -> BreakerUpdate:
    """One more failure."""
    return await breaker.record_failure(error="connection refused", threshold=threshold, open_for=open_for)


async def test_a_closed_breaker_allows_everything(breaker: BreakerStore, store: OrderStore, clerk: Clerk) -> None:
    ids = await clerk.store(3)

    state = await breaker.state()
    claims = await store.claim(ids, lease=LEASE)

    assert (state.is_open, state.held_for) == (False, NO_TIME)
    assert len(claims) == 3
    assert {(claim.is_probe, claim.venue_failures) for claim in claims} == {(False, 0)}


async def test_failures_below_the_threshold_are_returned_to_the_next_claim_and_delay_nothing(
    breaker: BreakerStore, store: OrderStore, clerk: Clerk
) -> None:
    ids = await clerk.store(2)
    news = [await failed(breaker), await failed(breaker)]

    claims = await store.claim(ids, lease=LEASE)

    assert news == [BreakerUpdate(is_new=False, held_for=NO_TIME)] * 2
    assert [(claim.is_probe, claim.venue_failures) for claim in claims] == [(False, 2)] * 2


async def test_the_failure_that_reaches_the_threshold_opens_the_circuit_once(breaker: BreakerStore) -> None:
    news = [await failed(breaker) for _ in range(5)]

    assert [one.is_new for one in news] == [False, False, True, False, False]
    assert (await breaker.state()).is_open
    assert news[2].held_for > LONG - LEASE


async def test_of_failures_at_the_same_time_one_opens_the_circuit(breaker: BreakerStore) -> None:
    news = await asyncio.gather(*(failed(breaker) for _ in range(8)))

    assert sum(one.is_new for one in news) == 1


async def test_one_failure_is_enough_where_the_threshold_is_one(breaker: BreakerStore) -> None:
    assert (await failed(breaker, threshold=1)).is_new
    assert not (await failed(breaker, threshold=1)).is_new


async def test_nothing_is_claimed_with_an_open_circuit(breaker: BreakerStore, store: OrderStore, clerk: Clerk) -> None:
    ids = await clerk.store(3)
    await failed(breaker, threshold=1)

    assert await store.claim(ids, lease=LEASE) == []
    assert await store.claim_due(limit=9, overdue_by=NO_TIME, lease=LEASE) == []
    loaded = await store.load(ids)
    assert {(row.attempt, row.attempts, row.lease_until) for row in loaded.values()} == {(0, 0, None)}


async def test_one_order_at_a_time_probes_a_circuit_with_a_due_probe(
    breaker: BreakerStore, store: OrderStore, clerk: Clerk
) -> None:
    ids = await clerk.store(6)
    await failed(breaker, threshold=1, open_for=NO_TIME)

    named = asyncio.gather(*(store.claim(ids, lease=LEASE) for _ in range(4)))
    swept = asyncio.gather(*(store.claim_due(limit=9, overdue_by=NO_TIME, lease=LEASE) for _ in range(4)))
    claims = [claim for batch in [*await named, *await swept] for claim in batch]

    assert len(claims) == 1
    assert claims[0].is_probe
    assert (await breaker.state()).held_for > LEASE / 3


async def test_a_breaker_where_nothing_is_due_keeps_its_probe(
    breaker: BreakerStore, store: OrderStore, clerk: Clerk
) -> None:
    await failed(breaker, threshold=1, open_for=NO_TIME)

    assert await store.claim_due(limit=9, overdue_by=NO_TIME, lease=LEASE) == []

    ids = await clerk.store(2)
    assert len(await store.claim(ids, lease=LEASE)) == 1


async def test_success_closes_the_circuit_and_ends_the_run_of_failures(
    breaker: BreakerStore, store: OrderStore, clerk: Clerk
) -> None:
    ids = await clerk.store(3)
    for _ in range(3):
        await failed(breaker)

    news = [await breaker.record_success(), await breaker.record_success()]

    assert [one.is_new for one in news] == [True, False]
    assert len(await store.claim(ids, lease=LEASE)) == 3
    assert not (await failed(breaker)).is_new


async def test_a_probe_that_showed_nothing_allows_the_next_one(
    breaker: BreakerStore, store: OrderStore, clerk: Clerk
) -> None:
    ids = await clerk.store(3)
    await failed(breaker, threshold=1, open_for=NO_TIME)
    assert len(await store.claim(ids, lease=LEASE)) == 1
    assert await store.claim(ids, lease=LEASE) == []

    await breaker.allow_next_probe()

    assert len(await store.claim(ids, lease=LEASE)) == 1


async def test_a_pause_holds_up_orders_and_cancel_requests(
    breaker: BreakerStore, store: OrderStore, clerk: Clerk
) -> None:
    waiting, placed = await clerk.store(2)
    await clerk.record({placed: [accepted()]})
    await _ask_to_cancel(clerk, placed)

    news = await breaker.pause(wait=LONG, error="too many requests")

    assert news.is_new
    assert await store.claim([waiting], lease=LEASE) == []
    assert await store.claim_due(limit=9, overdue_by=NO_TIME, lease=LEASE) == []
    assert await store.claim_cancels([placed], lease=LEASE) == []
    assert await store.claim_due_cancels(limit=9, overdue_by=NO_TIME, lease=LEASE) == []


async def test_an_open_circuit_holds_no_cancel_request_up(
    breaker: BreakerStore, store: OrderStore, clerk: Clerk
) -> None:
    (placed,) = await clerk.store(1)
    await clerk.record({placed: [accepted()]})
    await _ask_to_cancel(clerk, placed)
    await failed(breaker, threshold=1)

    assert len(await store.claim_cancels([placed], lease=LEASE)) == 1


async def test_a_pause_is_logged_once_and_made_longer_but_never_shorter(breaker: BreakerStore) -> None:
    waits = [60 * timedelta(seconds=1), 60.5 * timedelta(seconds=1), timedelta(seconds=5), LONG]

    news = [await breaker.pause(wait=wait, error="too many requests") for wait in waits]

    assert [one.is_new for one in news] == [True, False, False, True]
    assert news[2].held_for > timedelta(seconds=50)
    assert news[3].held_for > LONG - LEASE


async def test_a_pause_outlasts_a_success_and_closes_no_circuit(breaker: BreakerStore) -> None:
    await failed(breaker, threshold=1, open_for=NO_TIME)
    await breaker.pause(wait=LONG, error="too many requests")

    assert (await breaker.state()).is_open
    assert (await breaker.record_success()).is_new
    assert (await breaker.state()).held_for > LONG - LEASE


async def test_a_pause_that_is_over_holds_nothing_up(breaker: BreakerStore, store: OrderStore, clerk: Clerk) -> None:
    ids = await clerk.store(2)
    await breaker.pause(wait=NO_TIME, error="too many requests")

    assert len(await store.claim(ids, lease=LEASE)) == 2


async def _ask_to_cancel(clerk: Clerk, order_id: UUID) -> None:
    (write,) = await clerk.decide({order_id: [cancel_asked()]})
    await clerk.orders.write([replace(write, cancel_in=NO_TIME)])
