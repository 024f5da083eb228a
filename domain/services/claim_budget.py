"""The bound on orders that a process has claimed and not begun to send.

A few are needed, so that a free slot never waits for a claim. More would do harm: no other worker can send an order
that is claimed here, and its lease runs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta


class BudgetExhaustedError(Exception):
    """The budget is used up, and no claimed order began to be sent in time."""


class ClaimBudget:
    """Admits claims, first come first served, while fewer than `orders_max` orders are claimed or being claimed."""

    def __init__(self, *, orders_max: int) -> None:
        self._orders_max = orders_max
        self._count = 0
        self._lock = asyncio.Lock()
        self._has_room = asyncio.Event()

    @asynccontextmanager
    async def reserve(self, count: int, *, within: timedelta) -> AsyncIterator["Reservation"]:
        """Wait for capacity, then reserve it for `count` orders. The rest of it is released at the end.

        Raises BudgetExhaustedError when there is no capacity in that time.
        """
        try:
            async with asyncio.timeout(within.total_seconds()), self._lock:
                while self._count >= self._orders_max:
                    self._has_room.clear()
                    await self._has_room.wait()
                self._count += count
        except TimeoutError:
            raise BudgetExhaustedError from None
        reservation = Reservation(self, count)
        try:
            yield reservation
        finally:
            reservation.reduce_to(0)

    def release(self, count: int) -> None:
        """Subtract `count` orders from those that are claimed and not begun."""
        self._count -= count
        if self._count < self._orders_max:
            self._has_room.set()


class Reservation:
    """The part of the budget that one claim occupies, in orders."""

    def __init__(self, budget: ClaimBudget, count: int) -> None:
        self._budget = budget
        self._count = count

    def reduce_to(self, count: int) -> None:
        """Hold room for `count` orders from now on, and release the rest."""
        self._budget.release(self._count - count)
        self._count = count

    def release_one(self) -> None:
        """Release the room of one order: its attempt has a slot."""
        self.reduce_to(self._count - 1)
