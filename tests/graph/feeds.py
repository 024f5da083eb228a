"""The live feed in memory, over the orders of `fakes`."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from domain.changes import OrderSnapshot, RecordedChange
from domain.errors import OrderNotFound
from domain.ports import Checkpoint, Reset, UpToDate
from tests.graph.fakes import MemoryOrders


class MemoryFeed:
    """Changes as they are recorded. `open_feeds` counts what subscribers hold; `failure` ends every feed."""

    def __init__(self, orders: MemoryOrders) -> None:
        self.orders = orders
        self.open_feeds = 0
        self.clear()

    def clear(self) -> None:
        """Start anew."""
        self.failure: Exception | None = None
        self.kept_after = 0

    async def order(
        self, order_id: UUID, *, account_id: str | None, after_version: int | None
    ) -> AsyncGenerator[OrderSnapshot | UpToDate | RecordedChange]:
        async with self._open():
            now = await self.orders.order(order_id, account_id=account_id)
            if now is None:
                raise OrderNotFound
            version = after_version
            if version is None:
                version = now.version
                yield now
            elif version == now.version:
                yield UpToDate(version=version)
            while True:
                for change in [row for row in self.orders.changes_of(order_id) if row.order.version > version]:
                    version = change.order.version
                    yield change
                newest = await self.orders.order(order_id, account_id=account_id)
                if newest is not None and newest.status.is_final and newest.version <= version:
                    return
                await self._next_change(len(self.orders.changes[now.account_id]), now.account_id)

    async def account(
        self, account_id: str, *, after: int | None
    ) -> AsyncGenerator[Checkpoint | Reset | RecordedChange]:
        async with self._open():
            log = self.orders.changes[account_id]
            sequence = len(log) if after is None else after
            if sequence < self.kept_after:
                sequence = len(log)
                yield Reset(sequence=sequence)
            else:
                yield Checkpoint(sequence=sequence)
            while True:
                for change in log[sequence:]:
                    sequence = change.sequence
                    yield change
                await self._next_change(sequence, account_id)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        self.open_feeds += 1
        try:
            if self.failure is not None:
                raise self.failure
            yield
        finally:
            self.open_feeds -= 1

    async def _next_change(self, known: int, account_id: str) -> None:
        async with self.orders.changed:
            await self.orders.changed.wait_for(lambda: len(self.orders.changes[account_id]) > known or self.failure)
        if self.failure is not None:
            raise self.failure
