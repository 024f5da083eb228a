"""Decisions about single orders of many callers: those that come at about the same time are written together.

After a version conflict all of them are read and decided again, which costs no more than finding out which of them
changed. A batch that goes on conflicting is halved, so that orders which others write all the time delay no other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.model.changes import RecordedChange
from domain.model.frozen import frozen
from domain.model.operator_actions import ActionToStore
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.services.batcher import Batcher
from domain.services.decision import Decision
from domain.services.version_conflicts import VERSION_CONFLICTS_MAX, retry_conflicts

BATCH_MAX_ORDERS = 100
QUEUE_MAX_ORDERS = 4_096
CONFLICTS_TOGETHER_MAX = 4
"""How often a batch of several orders is decided again before it is halved."""

Decide = Callable[[LoadedOrder], Decision | None]
"""A function that decides on an order as it was read; None when there is nothing to write."""


class Commit(Protocol):
    """`Recording.commit`."""

    def __call__(
        self, decisions: Sequence[Decision], *, action: ActionToStore | None = None
    ) -> Awaitable[Sequence[RecordedChange]]:
        """Write the decisions, all or nothing."""


@frozen
class Decided:
    """What was decided on the order as it was read last, and its committed changes."""

    row: LoadedOrder
    decision: Decision | None
    changes: Sequence[RecordedChange]


@dataclass(slots=True)
class _Undecided:
    row: LoadedOrder
    decide: Decide
    action: Callable[[Decision], ActionToStore] | None


class OrderDecider:
    """The batcher of decisions about single orders."""

    def __init__(self, orders: OrderStore, commit: Commit) -> None:
        self._orders = orders
        self._commit = commit
        self._batcher: Batcher[_Undecided, Decided] = Batcher(
            self._decide_together, batch_max_items=BATCH_MAX_ORDERS, queue_max_items=QUEUE_MAX_ORDERS
        )
        self._under_way: dict[UUID, asyncio.Future[None]] = {}

    async def decide(
        self, row: LoadedOrder, decide: Decide, *, action: Callable[[Decision], ActionToStore] | None = None
    ) -> Decided:
        """Decide on the order and write it, with what other callers decide at the same time.

        With `action`, what an operator did by the decision, it is written by a statement of its own, which stores the
        action too. Raises what `decide` raises, VersionConflictError, and UnavailableError.
        """
        order_id = row.order.id
        while (other := self._under_way.get(order_id)) is not None:
            # A statement writes an order once: with two decisions on it, all in the batch would be decided again.
            await asyncio.wait({other})
            row = (await self._orders.load([order_id])).get(order_id, row)
        ended = self._under_way[order_id] = asyncio.get_running_loop().create_future()
        try:
            return await self._decide(_Undecided(row, decide, action))
        finally:
            del self._under_way[order_id]
            ended.set_result(None)

    async def _decide(self, asked: _Undecided) -> Decided:
        if asked.action is None:
            return await self._batcher.submit(asked)
        (decided,) = await self._decide_together([asked])
        return decided

    async def _decide_together(self, asked: Sequence[_Undecided]) -> Sequence[Decided]:
        return await retry_conflicts(
            self._write,
            read=lambda: self._read(asked),
            first=asked,
            conflicts_max=VERSION_CONFLICTS_MAX if len(asked) == 1 else CONFLICTS_TOGETHER_MAX,
        )

    async def _write(self, asked: Sequence[_Undecided]) -> Sequence[Decided]:
        changes: dict[UUID, list[RecordedChange]] = {one.row.order.id: [] for one in asked}
        decisions = [one.decide(one.row) for one in asked]
        made = [decision for decision in decisions if decision is not None]
        # Only alone is a decision an operator's action.
        action = asked[0].action(made[0]) if made and asked[0].action is not None else None
        for change in await self._commit(made, action=action) if made else ():
            changes[change.order.id].append(change)
        return [
            Decided(row=one.row, decision=decision, changes=changes[one.row.order.id])
            for one, decision in zip(asked, decisions, strict=True)
        ]

    async def _read(self, asked: Sequence[_Undecided]) -> Sequence[_Undecided]:
        rows = await self._orders.load([one.row.order.id for one in asked])
        for one in asked:
            one.row = rows.get(one.row.order.id, one.row)
        return asked
