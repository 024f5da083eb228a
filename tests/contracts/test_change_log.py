"""ChangeLog: a subscriber's missed changes, positions of accounts, and when history was deleted."""

from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from domain.model.changes import RecordedChange
from domain.model.errors import HistoryGoneError
from domain.ports.order_store import AttemptEnd, OrderStore
from domain.ports.readers import ChangeLog
from tests.contracts.stores import Adapters
from tests.support.examples import accepted, became_unknown, cancel_asked, filled
from tests.support.store_driver import Clerk


@pytest.fixture
def log(adapters: Adapters) -> ChangeLog:
    """Return the change log under test."""
    return adapters.log


async def test_missed_changes_are_sent_in_the_accounts_order_of_recording(log: ChangeLog, clerk: Clerk) -> None:
    first, second = await clerk.store(2)
    recorded = await clerk.record(
        {first: [accepted(venue_order_id="v-1"), filled("10", name="e-1")], second: [accepted(venue_order_id="v-2")]}
    )
    in_order = sorted(recorded, key=lambda change: change.sequence)

    assert list(await log.changes_after("alice", 2, limit=10)) == in_order
    assert list(await log.changes_after("alice", 3, limit=1)) == in_order[1:2]
    assert await log.changes_after("alice", 5, limit=10) == []
    assert await log.changes_after("nobody", 0, limit=10) == []


async def test_the_first_change_is_of_before_any_attempt(log: ChangeLog, store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    (claim,) = await store.claim([order_id], lease=timedelta(minutes=1))
    end = AttemptEnd(
        attempt=claim.loaded.attempt,
        error="HTTP 503",
        counts=True,
        may_have_been_sent=False,
        next_in=timedelta(hours=1),
    )
    await store.write(await clerk.decide({order_id: []}, attempt_end=end))

    (received,) = await log.changes_after("alice", 0, limit=1)

    placement = received.order.placement
    assert (placement.attempts, placement.last_attempt_at, placement.last_error) == (0, None, None)
    assert placement.next_attempt_at is not None
    assert placement.next_attempt_at - received.at < timedelta(minutes=1)


async def test_a_change_has_the_placement_of_then(log: ChangeLog, store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    recorded: list[RecordedChange] = []
    for error, reports in (
        ("HTTP 500", [became_unknown()]),
        ("HTTP 502", [cancel_asked()]),
        ("HTTP 503", []),
        (None, [accepted()]),
    ):
        (claim,) = await store.claim([order_id], lease=timedelta(minutes=1))
        end = AttemptEnd(
            attempt=claim.loaded.attempt,
            error=error,
            counts=True,
            may_have_been_sent=True,
            next_in=timedelta(0) if error else None,
        )
        recorded += await store.write(await clerk.decide({order_id: reports}, attempt_end=end))

    replayed = await log.changes_after("alice", 1, limit=10)

    assert [change.order.placement.attempts for change in replayed] == [1, 2, 4]
    assert [change.order.placement.last_error for change in replayed] == ["HTTP 500", "HTTP 502", None]
    assert list(replayed) == recorded


async def test_missed_changes_of_one_order_leave_the_others_out(log: ChangeLog, clerk: Clerk) -> None:
    first, second = await clerk.store(2)
    await clerk.record({first: [accepted(venue_order_id="v-1")]})
    (mine,) = await clerk.record({second: [filled("10", name="e-1")]})

    assert await log.changes_after("alice", 2, limit=10, order_id=second) == [mine]
    assert await log.changes_after("alice", 4, limit=10, order_id=second) == []
    assert await log.order_changes_after(second, 1, limit=10) == [mine]
    assert await log.order_changes_after(second, 2, limit=10) == []


async def test_history_that_is_no_longer_stored_raises_history_gone(
    log: ChangeLog, clerk: Clerk, adapters: Adapters
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted(), filled("10", name="e-1")]})
    await adapters.forget("alice", 2)

    assert [change.sequence for change in await log.changes_after("alice", 2, limit=10)] == [3]
    assert [change.order.version for change in await log.order_changes_after(order_id, 2, limit=10)] == [3]
    with pytest.raises(HistoryGoneError):
        await log.changes_after("alice", 1, limit=10)
    with pytest.raises(HistoryGoneError):
        await log.changes_after("alice", 0, limit=10, order_id=order_id)
    with pytest.raises(HistoryGoneError):
        await log.order_changes_after(order_id, 1, limit=10)


async def test_history_that_is_gone_entirely_is_gone_too(log: ChangeLog, clerk: Clerk, adapters: Adapters) -> None:
    (order_id,) = await clerk.store(1)
    await adapters.forget("alice", 1)

    with pytest.raises(HistoryGoneError):
        await log.changes_after("alice", 0, limit=10)
    with pytest.raises(HistoryGoneError):
        await log.order_changes_after(order_id, 0, limit=10)


async def test_positions_are_those_of_the_accounts(log: ChangeLog, clerk: Clerk) -> None:
    await clerk.store(3, accounts=("a", "b", "a"))

    assert await log.position("a") == 2
    assert await log.position("nobody") == 0
    assert await log.positions(["a", "b", "nobody"]) == {"a": 2, "b": 1, "nobody": 0}
    assert await log.positions([]) == {}


async def test_an_order_and_its_accounts_position_belong_together(log: ChangeLog, clerk: Clerk) -> None:
    order_id, _ = await clerk.store(2)
    (change,) = await clerk.record({order_id: [accepted()]})

    position = await log.order_position(order_id, account_id="alice")

    assert position is not None
    assert (position.order, position.sequence) == (change.order, change.sequence)
    assert await log.order_position(order_id, account_id="other") is None
    assert await log.order_position(uuid7(), account_id=None) is None
