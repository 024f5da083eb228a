"""A limited number of queries of an account run concurrently in a process; its others wait, first come, first served.

A process has one thread. Without this, queries of a client over many connections, within every rate, would delay all
other accounts. So the account has slots. A costly query occupies several, or all of them: concurrent ones would occupy
the thread for long. When a query ends while others of its account wait, its slots stay unused for as long as they were
occupied before the next one gets them. So an account that always has waiting queries leaves the thread to the others
about half of the time; an account without waiting queries is not delayed.
"""

import asyncio
from collections import deque
from time import monotonic
from types import TracebackType

REST_MAX_SECONDS = 0.05
"""The longest rest, about what the costliest query keeps the thread busy; one that takes longer waits for others."""


class _AccountQueue:
    """The queries of one account: the number of used slots, and the waiting queries, each with its number of slots."""

    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: deque[tuple[asyncio.Future[None], int]] = deque()


class QueryConcurrency:
    """The accounts that have running queries, or slots that rest."""

    def __init__(self) -> None:
        self._queues: dict[str, _AccountQueue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def slots(self, account_id: str, *, count: int = 1, at_once: int) -> "QuerySlots":
        """Return that number of the account's slots, at most all, for use with `async with`."""
        return QuerySlots(self._queues, account_id, count=min(count, at_once), at_once=at_once)


class QuerySlots:
    """Slots of an account: entering waits for them, and they are released at the end of the block."""

    __slots__ = ("_account_id", "_at_once", "_count", "_queue", "_queues", "_since")

    def __init__(self, queues: dict[str, _AccountQueue], account_id: str, *, count: int, at_once: int) -> None:
        self._queues = queues
        self._account_id = account_id
        self._count = count
        self._at_once = at_once

    async def __aenter__(self) -> None:
        queue = self._queues.get(self._account_id)
        if queue is None:
            queue = self._queues[self._account_id] = _AccountQueue()
        self._queue = queue
        if not queue.waiting and queue.taken + self._count <= self._at_once:
            queue.taken += self._count
        else:
            await self._wait()
        self._since = monotonic()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._queue.waiting:
            rest_seconds = min(monotonic() - self._since, REST_MAX_SECONDS)
            asyncio.get_running_loop().call_later(rest_seconds, self._release)
        else:
            self._release()

    async def _wait(self) -> None:
        handed_over = asyncio.get_running_loop().create_future()
        self._queue.waiting.append((handed_over, self._count))
        try:
            await handed_over
        except asyncio.CancelledError:
            if handed_over.cancelled():
                # Later ones may need fewer slots.
                self._hand_over()
            else:
                # The slots were assigned while the caller was being cancelled.
                self._release()
            raise

    def _release(self) -> None:
        self._queue.taken -= self._count
        self._hand_over()
        if not self._queue.taken:
            del self._queues[self._account_id]

    def _hand_over(self) -> None:
        """Assign free slots to the queries that have waited longest, except cancelled ones."""
        queue = self._queue
        while queue.waiting:
            handed_over, count = queue.waiting[0]
            if not handed_over.done():
                if queue.taken + count > self._at_once:
                    return
                queue.taken += count
                handed_over.set_result(None)
            queue.waiting.popleft()
