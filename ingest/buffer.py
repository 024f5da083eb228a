"""The bounded buffer between the socket and the database, from which batches are taken.

The reader must never wait for the database: a websocket library answers no pings while nothing is read. So the reader
only adds reports here. When the buffer is full the session is ended, and a catch-up records the missed reports.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class BufferFullError(Exception):
    """Recording is too far behind the stream."""


class Buffer(Generic[Item]):
    """A bounded first-in, first-out queue with one consuming task."""

    def __init__(self, *, items_max: int) -> None:
        self._items_max = items_max
        self._items: deque[Item] = deque()
        self._wanted = 1
        self._is_reached = asyncio.Event()

    def put(self, items: Sequence[Item]) -> None:
        """Add the items without waiting. Raises BufferFullError and adds none when they do not fit."""
        if len(self._items) + len(items) > self._items_max:
            raise BufferFullError
        self._items += items
        if len(self._items) >= self._wanted:
            self._is_reached.set()

    async def take(self, *, items_max: int, within: timedelta, busy: asyncio.Future[Any]) -> Sequence[Item]:
        """Wait for an item, then return up to `items_max`: immediately when `busy` is done.

        Otherwise collect more until `busy` is done, or there are `items_max`, or the time `within` is over.
        """
        await self._reach(1)
        if not busy.done():
            await self._gather(items_max, within, busy)
        return [self._items.popleft() for _ in range(min(len(self._items), items_max))]

    async def _gather(self, items_max: int, within: timedelta, busy: asyncio.Future[Any]) -> None:
        loop = asyncio.get_running_loop()
        in_time = loop.call_later(within.total_seconds(), self._is_reached.set)
        busy.add_done_callback(self._stop_gathering)
        try:
            await self._reach(items_max)
        finally:
            in_time.cancel()
            busy.remove_done_callback(self._stop_gathering)

    def _stop_gathering(self, _: asyncio.Future[Any]) -> None:
        self._is_reached.set()

    async def _reach(self, items: int) -> None:
        """Wait until that number of items is available, or collecting is stopped."""
        self._wanted = items
        if len(self._items) < items:
            self._is_reached.clear()
            await self._is_reached.wait()

    def __len__(self) -> int:
        return len(self._items)
