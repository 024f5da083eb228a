"""Cache of the open halts of trading, valid for a fraction of a second.

Many orders wait for a slot and are sent one after the other. A query for each would delay every order behind an answer
of the venue, so one query serves all orders that are sent shortly after it.
"""

import asyncio
import math
from collections.abc import Collection
from contextvars import Context

from domain.ports.trading_control import TradingHalts

HALT_CACHE_SECONDS = 0.05
"""How old a read of the halts may be when an order is sent. A read takes less than a hundredth of that."""


class HaltCache:
    """The cache of halts. Concurrent callers share one read. Times are those of the event loop, in seconds."""

    def __init__(self, halts: TradingHalts, *, age_max_seconds: float = HALT_CACHE_SECONDS) -> None:
        self._age_max_seconds = age_max_seconds
        self._halts = halts
        self._halted: Collection[str | None] = ()
        self._seen_at = -math.inf
        self._refresh_task: asyncio.Task[None] | None = None

    async def is_halted(self, account_id: str, *, seen_at: float) -> bool:
        """Return whether a halt was open for the account or for all, at most `age_max_seconds` ago.

        At `seen_at` the caller knew that none was open. Raises UnavailableError.
        """
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        if asked_at - seen_at < self._age_max_seconds:
            return False
        # A slow read is recent enough if it began after this call.
        while self._seen_at < asked_at and loop.time() - self._seen_at >= self._age_max_seconds:
            await self._refresh()
        return account_id in self._halted or None in self._halted

    async def _refresh(self) -> None:
        # A finished task whose callback has not run yet counts as none: awaiting it would return immediately,
        # repeatedly, and the loop would never run the callback.
        if self._refresh_task is None or self._refresh_task.done():
            # An empty context: the read belongs to no single caller's request.
            self._refresh_task = asyncio.create_task(self._read(), context=Context())
            self._refresh_task.add_done_callback(self._refreshed)
        # Shielded: a cancelled caller must not cancel the shared read.
        await asyncio.shield(self._refresh_task)

    async def _read(self) -> None:
        began = asyncio.get_running_loop().time()
        self._halted = await self._halts.halted_accounts()
        self._seen_at = began

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        if self._refresh_task is task:
            self._refresh_task = None
        if not task.cancelled():
            # Marks the error as retrieved, for a read whose callers were all cancelled.
            task.exception()
