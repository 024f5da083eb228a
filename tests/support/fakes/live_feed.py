"""The live feed in memory, over the order store in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from domain.model.changes import OrderSnapshot, RecordedChange
from domain.model.errors import OrderNotFoundError
from domain.ports.notifications import Checkpoint, Reset, UpToDate
from tests.support.fakes.order_store import MemoryOrderStore


class MemoryLiveFeed:
    """LiveFeed. `open_feeds` counts the feeds of subscribers; `failure` ends every feed; changes up to `kept_after`
    count as deleted.
    """

    def __init__(self, store: MemoryOrderStore) -> None:
        self.store = store
        self.open_feeds = 0
        self.failure: Exception | None = None
        self.kept_after = 0
        self.opens = asyncio.Event()
        """Cleared, no feed opens."""
        self.opens.set()
        self._changed = asyncio.Event()
        store.listeners.append(self._wake)

    async def order(
        self, order_id: UUID, *, account_id: str | None, after_version: int | None
    ) -> AsyncGenerator[Sequence[OrderSnapshot | UpToDate | RecordedChange]]:
        async with self._open():
            row = self.store.rows.get(order_id)
            if row is None or account_id not in {None, row.order.account_id}:
                raise OrderNotFoundError
            version = after_version
            if version is None or version > row.order.version:
                version = row.order.version
                yield [row.snapshot()]
            elif version == row.order.version:
                if row.snapshot().is_settled:
                    return
                yield [UpToDate(version=version)]
            while True:
                # More changes may arrive while these are taken: continue from the position that was read.
                log = list(self._log(row.order.account_id))
                if new := [each for each in log if each.order.id == order_id and each.order.version > version]:
                    version = new[-1].order.version
                    yield new
                if row.snapshot().is_settled and row.order.version <= version:
                    return
                await self._next_change(row.order.account_id, known=len(log))

    async def account(
        self, account_id: str, *, after: int | None
    ) -> AsyncGenerator[Sequence[Checkpoint | Reset | RecordedChange]]:
        async with self._open():
            newest = len(self._log(account_id))
            sequence = newest if after is None else after
            if self.kept_after <= sequence <= newest:
                yield [Checkpoint(sequence=sequence)]
            else:
                sequence = newest
                yield [Reset(sequence=sequence)]
            while True:
                if new := self._log(account_id)[sequence:]:
                    sequence = new[-1].sequence
                    yield new
                await self._next_change(account_id, known=sequence)

    def _log(self, account_id: str) -> list[RecordedChange]:
        return self.store.changes.get(account_id, [])

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        self.open_feeds += 1
        try:
            self._require()
            await self.opens.wait()
            yield
        finally:
            self.open_feeds -= 1

    async def _next_change(self, account_id: str, *, known: int) -> None:
        while len(self._log(account_id)) <= known:
            self._require()
            await self._changed.wait()

    def _require(self) -> None:
        if self.failure is not None:
            raise self.failure
