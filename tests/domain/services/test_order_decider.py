"""Decisions about orders that others write all the time delay no decision about another order."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from domain.model.changes import RecordedChange
from domain.model.errors import VersionConflictError
from domain.model.operator_actions import ActionToStore
from domain.ports.order_store import LoadedOrder
from domain.services.decision import Decision
from domain.services.order_decider import CONFLICTS_TOGETHER_MAX, OrderDecider
from domain.services.version_conflicts import VERSION_CONFLICTS_MAX
from tests.support.examples import accepted
from tests.support.memory_gateway import Desk

IDS = [UUID(int=number) for number in range(1, 5)]
BUSY = IDS[1]


async def test_an_order_that_is_always_changed_in_between_fails_alone() -> None:
    desk = Desk()
    tries: list[int] = []

    async def commit(decisions: Sequence[Decision], *, action: ActionToStore | None = None) -> Sequence[RecordedChange]:
        tries.append(len(decisions))
        if any(decision.order_id == BUSY for decision in decisions):
            raise VersionConflictError
        return await desk.recording.commit(decisions, action=action)

    def decide(row: LoadedOrder) -> Decision:
        return desk.recording.decide(row, [accepted()])

    decider = OrderDecider(desk.orders, commit)
    for order_id in IDS:
        await desk.store(order_id, client_order_id=str(order_id))
    rows = await desk.orders.load(IDS)

    outcomes = await asyncio.gather(
        *(decider.decide(rows[order_id], decide) for order_id in IDS), return_exceptions=True
    )

    assert [isinstance(outcome, VersionConflictError) for outcome in outcomes] == [False, True, False, False]
    together = [4] * CONFLICTS_TOGETHER_MAX + [2] * CONFLICTS_TOGETHER_MAX
    assert tries == [*together, 1, *[1] * VERSION_CONFLICTS_MAX, 2]


async def test_decisions_on_one_order_at_the_same_time_follow_one_another_and_disturb_no_other() -> None:
    desk = Desk()
    tries: list[list[UUID]] = []

    async def commit(decisions: Sequence[Decision], *, action: ActionToStore | None = None) -> Sequence[RecordedChange]:
        tries.append([decision.order_id for decision in decisions])
        return await desk.recording.commit(decisions, action=action)

    def decide(row: LoadedOrder) -> Decision:
        return desk.recording.decide(row, [accepted()])

    decider = OrderDecider(desk.orders, commit)
    for order_id in IDS:
        await desk.store(order_id, client_order_id=str(order_id))
    rows = await desk.orders.load(IDS)

    decided = await asyncio.gather(*(decider.decide(rows[order_id], decide) for order_id in [*IDS, BUSY, BUSY]))

    assert tries[0] == IDS
    assert [order_id for one in tries[1:] for order_id in one] == [BUSY, BUSY]
    assert [len(one.changes) for one in decided] == [1, 1, 1, 1, 0, 0]
