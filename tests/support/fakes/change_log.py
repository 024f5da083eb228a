"""A change log in memory, over the changes of the order store in memory or over changes that a test makes up."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from domain.model.changes import OrderSnapshot, RecordedChange
from domain.model.errors import HistoryGoneError, UnavailableError
from domain.ports.readers import AccountPosition


@dataclass(slots=True)
class MemoryChangeLog:
    """ChangeLog with switches to prune it and to make it fail. `reads` counts reads, `comparisons` those of many
    accounts.
    """

    changes: dict[str, list[RecordedChange]] = field(default_factory=dict)
    is_down: bool = False
    reads: int = 0
    comparisons: int = 0
    _pruned: dict[str, int] = field(default_factory=dict)

    def prune(self, account_id: str, *, through: int) -> None:
        """Delete the account's changes up to this sequence."""
        self._pruned[account_id] = through

    def newest(self, order_id: UUID) -> OrderSnapshot | None:
        """Return the order as of its last change."""
        logs = (reversed(log) for log in self.changes.values())
        return next((change.order for log in logs for change in log if change.order.id == order_id), None)

    async def changes_after(
        self, account_id: str, sequence: int, *, limit: int, order_id: UUID | None = None
    ) -> Sequence[RecordedChange]:
        async with self._reading():
            if sequence < self._pruned.get(account_id, 0):
                raise HistoryGoneError
            newer = self.changes.get(account_id, [])[sequence:]
            return [change for change in newer if order_id in {None, change.order.id}][:limit]

    async def order_changes_after(self, order_id: UUID, version: int, *, limit: int) -> Sequence[RecordedChange]:
        async with self._reading():
            newer = [
                change
                for log in self.changes.values()
                for change in log
                if change.order.id == order_id and change.order.version > version
            ]
            if newer and newer[0].sequence <= self._pruned.get(newer[0].order.account_id, 0):
                raise HistoryGoneError
        return newer[:limit]

    async def position(self, account_id: str) -> int:
        async with self._reading():
            return len(self.changes.get(account_id, []))

    async def positions(self, account_ids: Collection[str]) -> Mapping[str, int]:
        async with self._reading():
            self.comparisons += 1
            return {account_id: len(self.changes.get(account_id, [])) for account_id in account_ids}

    async def order_position(self, order_id: UUID, *, account_id: str | None) -> AccountPosition | None:
        found = None
        async with self._reading():
            order = self.newest(order_id)
            if order is not None and account_id in {None, order.account_id}:
                found = AccountPosition(order=order, sequence=len(self.changes[order.account_id]))
        return found

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """Delay a call before and after it is executed."""
        self.reads += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise UnavailableError
        yield
        for _ in range(3):
            await asyncio.sleep(0)
