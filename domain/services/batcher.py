"""Batching of many callers' items into one call.

An item is flushed immediately when no flush is running, else together with all that were collected meanwhile. So a
single caller waits for one round trip, and concurrent callers share one. It is independent of orders and databases.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeVar

from domain.model.errors import TransientError, UnavailableError, VersionConflictError

Item = TypeVar("Item")
Result = TypeVar("Result")

Flush = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]
"""A function that stores a batch, all or nothing, and returns one result for each item, in the same order."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    result: asyncio.Future[Result]


class Batcher(Generic[Item, Result]):
    """The batcher of one flush function; one batch is flushed at a time."""

    def __init__(self, flush: Flush[Item, Result], *, batch_max_items: int, queue_max_items: int) -> None:
        self._flush = flush
        self._batch_max_items = batch_max_items
        self._queue_max_items = queue_max_items
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._flusher: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Flush the item with those of other callers; return its own result or raise its own error.

        A cancelled caller does not affect others; its item may still be flushed. Raises UnavailableError when
        `queue_max_items` are waiting already.
        """
        if len(self._queue) >= self._queue_max_items:
            raise UnavailableError
        waiting: _Waiting[Item, Result] = _Waiting(item, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._flusher is None:
            # An empty context: a batch belongs to no single caller's request.
            self._flusher = asyncio.create_task(self._flush_until_empty(), context=Context())
        return await waiting.result

    async def _flush_until_empty(self) -> None:
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_max_items))]
                await self._flush_batch([waiting for waiting in batch if not waiting.result.done()])
        finally:
            # No await between the last check of the queue and this line, or an item added in between would never be
            # flushed.
            self._flusher = None
            self._cancel(self._queue)

    async def _flush_batch(self, batch: Sequence[_Waiting[Item, Result]]) -> None:
        if not batch:
            return
        try:
            results = await self._flush([waiting.item for waiting in batch])
            settled = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes to the callers
            await self._handle_failure(batch, error)
        except BaseException:
            self._cancel(batch)
            raise
        else:
            for waiting, result in settled:
                if not waiting.result.done():
                    waiting.result.set_result(result)

    async def _handle_failure(self, batch: Sequence[_Waiting[Item, Result]], error: Exception) -> None:
        if isinstance(error, TransientError) and not isinstance(error, VersionConflictError):
            # The database failed, not an item: in halves it would only take longer. The queue fails too: while the
            # database hangs it would wait for one more time-out, or for several.
            self._fail([*batch, *self._queue], error)
            self._queue.clear()
        elif len(batch) == 1:
            self._fail(batch, error)
        else:
            # One item may have made the batch fail. Each half is flushed by itself, until only that item fails.
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                await self._flush_batch(half)

    def _fail(self, batch: Sequence[_Waiting[Item, Result]], error: Exception) -> None:
        for waiting in batch:
            if not waiting.result.done():
                waiting.result.set_exception(error)

    def _cancel(self, stranded: Sequence[_Waiting[Item, Result]] | deque[_Waiting[Item, Result]]) -> None:
        """Cancel the waiting callers: the event loop is shut down during a flush."""
        for waiting in stranded:
            waiting.result.cancel()
