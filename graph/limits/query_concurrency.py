"""A limited number of queries of an account run at once in a process; its others wait, first come, first served.

A process has one thread. Without this a client that sends queries over many connections, within every rate, would make
all other accounts wait behind all of its queries.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _AccountQueue:
    """The queries of one account: how many run, and those that wait."""

    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class QueryConcurrency:
    """The accounts that have running queries."""

    def __init__(self) -> None:
        self._queues: dict[str, _AccountQueue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    @asynccontextmanager
    async def slot(self, account_id: str, *, at_once: int) -> AsyncIterator[None]:
        """Wait for one of the account's slots, and hold it until the block ends."""
        queue = self._queues.setdefault(account_id, _AccountQueue())
        if queue.running < at_once:
            queue.running += 1
        else:
            await self._wait(account_id, queue)
        try:
            yield
        finally:
            self._release(account_id, queue)

    async def _wait(self, account_id: str, queue: _AccountQueue) -> None:
        released = asyncio.get_running_loop().create_future()
        queue.waiting.append(released)
        try:
            await released
        except asyncio.CancelledError:
            # The slot may have been handed over at the moment when the caller was cancelled.
            if not released.cancelled():
                self._release(account_id, queue)
            raise

    def _release(self, account_id: str, queue: _AccountQueue) -> None:
        """Hand the slot to the query that has waited longest. Those that were cancelled wait no more."""
        while queue.waiting:
            released = queue.waiting.popleft()
            if not released.done():
                released.set_result(None)
                return
        queue.running -= 1
        if not queue.running:
            del self._queues[account_id]
