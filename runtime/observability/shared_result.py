"""A result that many callers request repeatedly, computed once in an interval."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SharedResult(Generic[Result]):
    """The result of `find`, at most `held_seconds` old. Concurrent callers share one run, which a caller's cancellation
    does not end.

    `clock` returns seconds and is monotonic.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[Result]],
        *,
        held_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._held_seconds = held_seconds
        self._clock = clock
        self._run: asyncio.Task[Result] | None = None
        self._found_at = 0.0

    async def get(self) -> Result:
        """Return the result, or raise what the run raised."""
        if self._run is None or (self._run.done() and self._clock() - self._found_at >= self._held_seconds):
            self._run = asyncio.create_task(self._find_once())
        return await asyncio.shield(self._run)

    async def _find_once(self) -> Result:
        try:
            return await self._find()
        finally:
            self._found_at = self._clock()
