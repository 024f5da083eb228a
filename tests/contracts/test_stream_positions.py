"""StreamPositions and LeadershipLease: a position only moves forward, and only one process leads."""

from datetime import timedelta
from uuid import UUID

import pytest

from domain.model.errors import LeadershipLostError
from domain.ports.ingest_state import Fence, LeadershipLease, StreamPositions
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
    """The positions under test."""
    return adapters.positions


@pytest.fixture
def leadership(adapters: Adapters) -> LeadershipLease:
    """The leadership under test, over the same venues."""
    return adapters.leadership


async def test_a_position_only_moves_forward(positions: StreamPositions) -> None:
    before = await positions.read("SIM")

    await positions.advance("SIM", MIDNIGHT)
    await positions.advance("SIM", MIDNIGHT + timedelta(microseconds=1))
    await positions.advance("SIM", MIDNIGHT - timedelta(days=1))

    assert before is None
    assert await positions.read("SIM") == MIDNIGHT + timedelta(microseconds=1)
    assert await positions.read("OTHER") is None


async def test_one_process_leads_until_its_lease_ends(leadership: LeadershipLease) -> None:
    first = await leadership.acquire("SIM", leader_id=ONE, lease=LEASE)
    refused = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    elsewhere = await leadership.acquire("OTHER", leader_id=OTHER, lease=LEASE)

    assert first == Fence(venue="SIM", epoch=1)
    assert refused is None
    assert elsewhere == Fence(venue="OTHER", epoch=1)


async def test_a_lease_that_ended_or_was_given_back_is_taken_under_a_higher_epoch(leadership: LeadershipLease) -> None:
    await leadership.acquire("SIM", leader_id=ONE, lease=NO_TIME)
    second = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    assert second == Fence(venue="SIM", epoch=2)

    await leadership.release(second)

    assert await leadership.acquire("SIM", leader_id=ONE, lease=LEASE) == Fence(venue="SIM", epoch=3)


async def test_a_process_that_never_heard_the_answer_takes_over_from_itself(leadership: LeadershipLease) -> None:
    await leadership.acquire("SIM", leader_id=ONE, lease=LEASE)

    assert await leadership.acquire("SIM", leader_id=ONE, lease=LEASE) == Fence(venue="SIM", epoch=2)


async def test_who_was_overtaken_can_neither_renew_nor_give_back(leadership: LeadershipLease) -> None:
    first = await leadership.acquire("SIM", leader_id=ONE, lease=NO_TIME)
    second = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    assert first is not None
    assert second is not None

    assert not await leadership.renew(first, lease=LEASE)
    await leadership.release(first)

    assert await leadership.renew(second, lease=LEASE)
    assert await leadership.acquire("SIM", leader_id=ONE, lease=LEASE) is None


async def test_who_was_overtaken_writes_nothing_and_moves_no_position(
    leadership: LeadershipLease, positions: StreamPositions, store: OrderStore, clerk: Clerk
) -> None:
    first = await leadership.acquire("SIM", leader_id=ONE, lease=NO_TIME)
    second = await leadership.acquire("SIM", leader_id=OTHER, lease=LEASE)
    (order_id,) = await clerk.store(1)
    writes = await clerk.decide({order_id: [accepted()]})

    await positions.advance("SIM", MIDNIGHT, fence=first)
    with pytest.raises(LeadershipLostError):
        await store.write(writes, fence=first)

    assert await positions.read("SIM") is None
    assert len(await store.write(writes, fence=second)) == 1
    await positions.advance("SIM", MIDNIGHT, fence=second)
    assert await positions.read("SIM") == MIDNIGHT
