"""What a process has last seen of the halts of trading, for as long as that may be believed.

Many orders wait for a slot and are sent one after the other: a look at the database for each would stand between an
answer of the venue and the next order. So one look serves all that are sent within HALT_CACHE_SECONDS of it.
"""

import asyncio
import math
from collections.abc import Collection

from domain.ports.trading_control import TradingHalts

HALT_CACHE_SECONDS = 0.05
"""How long ago the halts may have been looked at when an order is sent; a look costs less than a hundredth of that."""


class HaltCache:
    """Looks at the halts, once for all who ask at about the same time. Times are the loop's."""

    def __init__(self, halts: TradingHalts) -> None:
        self._halts = halts
        self._halted: Collection[str | None] = ()
        self._seen_at = -math.inf
        self._looking: asyncio.Task[None] | None = None

    async def is_halted(self, account_id: str, *, seen_at: float) -> bool:
        """Whether a halt was open for the account or for all, not longer ago than HALT_CACHE_SECONDS.

        At `seen_at` the caller saw that none was. Raises Unavailable.
        """
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        if asked_at - seen_at < HALT_CACHE_SECONDS:
            return False
        # A look that took long is good enough if it began after the question.
        while self._seen_at < asked_at and loop.time() - self._seen_at >= HALT_CACHE_SECONDS:
            await self._look()
        return account_id in self._halted or None in self._halted

    async def _look(self) -> None:
        # One that is over, and of whose end nobody has heard yet, is as none: waiting for it would end at once, again
        # and again, and the loop would never come to tell of it.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._read())
            self._looking.add_done_callback(self._looked)
        # One who is cancelled takes the look from nobody else.
        await asyncio.shield(self._looking)

    async def _read(self) -> None:
        began = asyncio.get_running_loop().time()
        self._halted = await self._halts.halted_accounts()
        self._seen_at = began

    def _looked(self, look: asyncio.Task[None]) -> None:
        if self._looking is look:
            self._looking = None
        if not look.cancelled():
            # Marks the error of a look that nobody waits for any more as seen.
            look.exception()
