"""The bounded buffer between the socket and the database, and the batches that are taken from it.

The reader must never wait for the database: a websocket library stops answering pings while nobody reads. So the
reader only puts in here; when it is full the session is given up on purpose, and the venue is asked what was missed.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class BufferFullError(Exception):
    """Recording has fallen too far behind the stream."""


class Buffer(Generic[Item]):
    """First in, first out, with a bound. One task takes from it."""

    def __init__(self, *, items_max: int) -> None:
        self._items_max = items_max
        self._items: deque[Item] = deque()
        self._wanted = 1
        self._is_reached = asyncio.Event()

    def put(self, items: Sequence[Item]) -> None:
        """Put some in without waiting. Raises BufferFullError, and takes none of them then."""
        if len(self._items) + len(items) > self._items_max:
            raise BufferFullError
        self._items += items
        if len(self._items) >= self._wanted:
            self._is_reached.set()

    async def take(self, *, items_max: int, within: timedelta, busy: asyncio.Future[Any]) -> Sequence[Item]:
        """Wait for one, then take what there is, up to `items_max`: at once when nobody is busy.

        Else more is gathered until that is over, or there are so many, or for that time.
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
        """Wait until there are so many, or somebody calls it enough."""
        self._wanted = items
        if len(self._items) < items:
            self._is_reached.clear()
            await self._is_reached.wait()

    def __len__(self) -> int:
        return len(self._items)
