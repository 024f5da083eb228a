"""One commit for all who wait: an item goes out at once when nothing is under way, else with all that gathered since.

So one caller at a time pays one round trip, and many at a time share one. It knows nothing of orders or databases.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from domain.model.errors import TransientError, UnavailableError

Item = TypeVar("Item")
Result = TypeVar("Result")

Flush = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]
"""Stores a batch, all or nothing; gives one result for each item, in the same order."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    result: asyncio.Future[Result]


class Batcher(Generic[Item, Result]):
    """Gathers items from many callers into batches, one at a time."""

    def __init__(self, flush: Flush[Item, Result], *, batch_max_items: int, queue_max_items: int) -> None:
        self._flush = flush
        self._batch_max_items = batch_max_items
        self._queue_max_items = queue_max_items
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._flusher: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Store the item with whoever else waits; its own result or error.

        A cancelled caller disturbs no other; its item may be stored all the same. Raises UnavailableError when
        `queue_max_items` wait already.
        """
        if len(self._queue) >= self._queue_max_items:
            raise UnavailableError
        waiting: _Waiting[Item, Result] = _Waiting(item, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush_until_empty())
        return await waiting.result

    async def _flush_until_empty(self) -> None:
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_max_items))]
                await self._settle([waiting for waiting in batch if not waiting.result.done()])
        finally:
            # No await between the last look at the queue and this line, or an item that comes in between is stranded.
            self._flusher = None
            self._give_up_on(self._queue)

    async def _settle(self, batch: Sequence[_Waiting[Item, Result]]) -> None:
        if not batch:
            return
        try:
            results = await self._flush([waiting.item for waiting in batch])
            settled = list(zip(batch, results, strict=True))
        except TransientError as error:
            # The database's trouble, not an item's: one by one it would only take longer. Nor is it any use to those
            # who wait behind: when the database hangs they would wait for one whole time-out more, or for several.
            self._fail([*batch, *self._queue], error)
            self._queue.clear()
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes to the callers
            if len(batch) == 1:
                self._fail(batch, error)
                return
            # One item may have spoilt it for all; alone, only that one fails.
            for waiting in batch:
                await self._settle([waiting])
        except BaseException:
            self._give_up_on(batch)
            raise
        else:
            for waiting, result in settled:
                if not waiting.result.done():
                    waiting.result.set_result(result)

    def _fail(self, batch: Sequence[_Waiting[Item, Result]], error: Exception) -> None:
        for waiting in batch:
            if not waiting.result.done():
                waiting.result.set_exception(error)

    def _give_up_on(self, stranded: Sequence[_Waiting[Item, Result]] | deque[_Waiting[Item, Result]]) -> None:
        """The loop is being shut down in the middle of a flush: nobody may wait for ever."""
        for waiting in stranded:
            waiting.result.cancel()
