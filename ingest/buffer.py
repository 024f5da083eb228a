"""The bounded buffer between the socket and the database, and the batches that are taken from it.

The reader must never wait for the database: a websocket library stops answering pings while nobody reads. So the
reader only puts in here; when it is full the session is given up on purpose, and the venue is asked what was missed.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Generic, TypeVar

Item = TypeVar("Item")


class BufferFull(Exception):  # noqa: N818 - read as a sentence
    """Recording has fallen too far behind the stream."""


class Buffer(Generic[Item]):
    """First in, first out, with a bound."""

    def __init__(self, *, items_max: int) -> None:
        self._queue: asyncio.Queue[Item] = asyncio.Queue(maxsize=items_max)

    def put(self, item: Item) -> None:
        """Put one in without waiting. Raises BufferFull."""
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull as error:
            raise BufferFull from error

    async def take(self, *, items_max: int, within: timedelta) -> Sequence[Item]:
        """Wait for one, then take what comes within that time of it, up to `items_max`."""
        batch = [await self._queue.get()]
        deadline = asyncio.get_running_loop().time() + within.total_seconds()
        while len(batch) < items_max:
            if not self._queue.empty():
                batch.append(self._queue.get_nowait())
                continue
            try:
                async with asyncio.timeout_at(deadline):
                    batch.append(await self._queue.get())
            except TimeoutError:
                break
        return batch

    def __len__(self) -> int:
        return self._queue.qsize()
