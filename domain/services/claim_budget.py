"""How many orders a process has claimed and not yet begun to send: some, so that a free slot waits for nobody, and not
many, since what is claimed here no other worker can send, and its lease runs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta


class BudgetExhaustedError(Exception):
    """As many orders are claimed as may be, and none of them is sent."""


class ClaimBudget:
    """Lets claims begin, first come first served, as long as fewer than `most` orders are claimed or being claimed."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._count = 0
        self._turn = asyncio.Lock()
        self._has_room = asyncio.Event()

    @asynccontextmanager
    async def claiming(self, count: int, *, within: timedelta) -> AsyncIterator["Reserved"]:
        """Wait for room, then let so many orders at most be claimed. What has not begun at the end is given back.

        Raises BudgetExhaustedError when there is none in that time.
        """
        try:
            async with asyncio.timeout(within.total_seconds()), self._turn:
                while self._count >= self._most:
                    self._has_room.clear()
                    await self._has_room.wait()
                self._count += count
        except TimeoutError:
            raise BudgetExhaustedError from None
        reserved = Reserved(self, count)
        try:
            yield reserved
        finally:
            reserved.keep(0)

    def give_back(self, count: int) -> None:
        """So many fewer are claimed ahead."""
        self._count -= count
        if self._count < self._most:
            self._has_room.set()


class Reserved:
    """What one claim has taken of the room."""

    def __init__(self, ahead: ClaimBudget, count: int) -> None:
        self._ahead = ahead
        self._count = count

    def keep(self, count: int) -> None:
        """Only so many were claimed."""
        self._ahead.give_back(self._count - count)
        self._count = count

    def begin(self) -> None:
        """One of them has a slot."""
        self.keep(self._count - 1)
