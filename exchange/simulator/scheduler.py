"""Runs the exchange's later actions: one heap and one timer for all orders, so a million of them need no tasks.

It can be paused, as the matching is while the exchange is down; due actions run afterwards.
"""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

BATCH_MAX_ACTIONS = 200


class Scheduler:
    """Actions by their due time, in the order they were given when due together."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._is_paused = False

    def after(self, delay_seconds: float, action: Callable[[], None]) -> None:
        """Run the action after the delay, or later while paused."""
        due = self._loop.time() + delay_seconds
        heappush(self._heap, (due, next(self._sequence), action))
        if not self._is_paused and (self._timer is None or due < self._timer_due):
            self._arm()

    def pause(self) -> None:
        self._is_paused = True
        self._disarm()

    def resume(self) -> None:
        self._is_paused = False
        self._arm()

    def close(self) -> None:
        self._heap.clear()
        self._disarm()

    def _arm(self) -> None:
        self._disarm()
        if self._heap:
            self._timer_due = self._heap[0][0]
            self._timer = self._loop.call_at(self._timer_due, self._run_due)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run_due(self) -> None:
        """Run due actions, at most a batch of them: requests are handled in between."""
        self._timer = None
        now = self._loop.time()
        try:
            for _ in range(BATCH_MAX_ACTIONS):
                if self._is_paused or not self._heap or self._heap[0][0] > now:
                    break
                heappop(self._heap)[2]()
        finally:
            if not self._is_paused:
                self._arm()
