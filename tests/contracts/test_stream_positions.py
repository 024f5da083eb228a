"""StreamPositions and LeadershipLease: a position only moves forward, and only one process leads."""

from datetime import timedelta
from uuid import UUID

import pytest

from domain.model.errors import LeadershipLostError
from domain.ports.ingest_state import Fence, HeldLease, LeadershipLease, Position, StreamPositions
from domain.ports.order_store import OrderStore
from tests.contracts.stores import Adapters
from tests.support.examples import accepted
from tests.support.fakes.clock import MIDNIGHT
from tests.support.store_driver import Clerk

ONE, OTHER = UUID(int=1), UUID(int=2)
LEASE = timedelta(seconds=30)
NO_TIME = timedelta(0)


@pytest.fixture
def positions(adapters: Adapters) -> StreamPositions:
    """Return the positions under test."""
    return adapters.positions


@pytest.fixture
def leadership(adapters: Adapters) -> LeadershipLease:
    """Return the leadership under test, over the same venues."""
    return adapters.leadership


async def test_a_position_only_moves_forward(positions: StreamPositions) -> None:
    before = await positions.read("SIM")

    await positions.advance("SIM", MIDNIGHT)
    await positions.advance("SIM", MIDNIGHT + timedelta(microseconds=1))
    await positions.advance("SIM", MIDNIGHT - timedelta(days=1))

    assert before is None
    assert await positions.read("SIM") == MIDNIGHT + timedelta(microseconds=1)
    assert await positions.read("OTHER") is None


async def test_the_positions_of_fills_and_of_closed_orders_are_two(positions: StreamPositions) -> None:
    later = MIDNIGHT + timedelta(days=1)

    await positions.advance("SIM", MIDNIGHT)
    await positions.advance("SIM", later, position=Position.CLOSED_ORDERS)
    await positions.advance("SIM", MIDNIGHT, position=Position.CLOSED_ORDERS)

    assert await positions.read("SIM") == MIDNIGHT
    assert await positions.read("SIM", Position.CLOSED_ORDERS) == later


async def test_one_process_leads_until_its_lease_ends(leadership: LeadershipLease) -> None:
    first = await leadership.acquire("SIM", leader_id=ONE, lease=LEASE)
    refused = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    elsewhere = await leadership.acquire("OTHER", leader_id=OTHER, lease=LEASE)

    assert first == Fence(venue="SIM", epoch=1)
    assert isinstance(refused, HeldLease)
    assert refused.epoch == 1
    assert elsewhere == Fence(venue="OTHER", epoch=1)


async def test_a_lease_that_ended_or_was_released_is_taken_under_a_higher_epoch(leadership: LeadershipLease) -> None:
    await leadership.acquire("SIM", leader_id=ONE, lease=NO_TIME)
    second = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    assert isinstance(second, Fence)
    assert second == Fence(venue="SIM", epoch=2)

    await leadership.release(second)

    assert await leadership.acquire("SIM", leader_id=ONE, lease=LEASE) == Fence(venue="SIM", epoch=3)


async def test_a_process_that_never_received_the_answer_takes_over_from_itself(leadership: LeadershipLease) -> None:
    await leadership.acquire("SIM", leader_id=ONE, lease=LEASE)

    assert await leadership.acquire("SIM", leader_id=ONE, lease=LEASE) == Fence(venue="SIM", epoch=2)


async def test_a_replaced_leader_can_neither_renew_nor_release(leadership: LeadershipLease) -> None:
    first = await leadership.acquire("SIM", leader_id=ONE, lease=NO_TIME)
    second = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    assert isinstance(first, Fence)
    assert isinstance(second, Fence)

    assert not await leadership.renew(first, lease=LEASE)
    await leadership.release(first)

    assert await leadership.renew(second, lease=LEASE)
    assert isinstance(await leadership.acquire("SIM", leader_id=ONE, lease=LEASE), HeldLease)


async def test_who_was_overtaken_writes_nothing_and_moves_no_position(
    leadership: LeadershipLease, positions: StreamPositions, store: OrderStore, clerk: Clerk
) -> None:
    first = await leadership.acquire("SIM", leader_id=ONE, lease=NO_TIME)
    second = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    (order_id,) = await clerk.store(1)
    writes = await clerk.decide({order_id: [accepted()]})
    assert isinstance(first, Fence)
    assert isinstance(second, Fence)

    await positions.advance("SIM", MIDNIGHT, fence=first)
    with pytest.raises(LeadershipLostError):
        await store.write(writes, fence=first)

    assert await positions.read("SIM") is None
    assert len(await store.write(writes, fence=second)) == 1
    await positions.advance("SIM", MIDNIGHT, fence=second)
    assert await positions.read("SIM") == MIDNIGHT


async def test_a_lease_that_a_waiting_process_saw_end_is_taken_for_any_time_of_the_stores_clock(
    leadership: LeadershipLease,
) -> None:
    # As after the clock was set back by a day, and the leader crashed.
    await leadership.acquire("SIM", leader_id=ONE, lease=timedelta(days=1))
    held = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    assert isinstance(held, HeldLease)

    taken = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE, ended=held)

    assert taken == Fence(venue="SIM", epoch=2)


async def test_a_lease_that_was_renewed_or_taken_since_it_was_seen_is_not_taken(leadership: LeadershipLease) -> None:
    first = await leadership.acquire("SIM", leader_id=ONE, lease=LEASE)
    assert isinstance(first, Fence)
    seen = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    assert isinstance(seen, HeldLease)
    await leadership.renew(first, lease=LEASE)

    renewed = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE, ended=seen)
    assert isinstance(renewed, HeldLease)
    assert await leadership.acquire("SIM", leader_id=UUID(int=3), lease=LEASE, ended=renewed) == Fence(
        venue="SIM", epoch=2
    )
    after = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE, ended=renewed)

    assert renewed != seen
    assert isinstance(after, HeldLease)
    assert after.epoch == 2
