"""One subscriber of the fan-out: a bounded buffer, and whether it fell behind. No I/O."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum

from domain.model.changes import RecordedChange


class Cause(StrEnum):
    """Why changes are read from the database instead of coming by a hint."""

    GAP = "gap"
    RECONNECT = "reconnect"
    COMPARISON = "comparison"
    OVERFLOW = "overflow"
    RESUME = "resume"
    MOVED_BACK = "moved_back"
    """The database was restored to an earlier moment: changes that were delivered are no longer part of its history."""


class Subscriber:
    """Buffers changes until its buffer is full; from then on it is behind and must catch up."""

    def __init__(self, *, buffer_max_changes: int) -> None:
        # A list and a future, since thousands of these wait concurrently: a deque and an event cost half a kilobyte
        # each.
        self._buffer: list[RecordedChange] = []
        self._buffer_max_changes = buffer_max_changes
        self._behind: Cause | None = None
        self._waiting: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """Return how many changes are buffered."""
        return len(self._buffer)

    @property
    def behind(self) -> Cause | None:
        """Why the buffer does not hold everything that is new, or None when it does."""
        return self._behind

    def offer(self, change: RecordedChange) -> None:
        """Add a change; changes during a catch-up are left to it."""
        if self._behind is not None:
            return
        if len(self._buffer) >= self._buffer_max_changes:
            self.fall_behind(Cause.OVERFLOW)
            return
        self._buffer.append(change)
        self._wake()

    def fall_behind(self, cause: Cause) -> None:
        """Drop the buffer: new changes have to be read."""
        self._buffer.clear()
        if self._behind is not Cause.MOVED_BACK:
            self._behind = cause
        self._wake()

    def catch_up(self) -> None:
        """Start to buffer again. Call it before reading, so that no change is missed between the read and the
        buffer.
        """
        self._behind = None

    def take(self) -> Sequence[RecordedChange]:
        """Remove and return everything that is buffered, in order."""
        taken, self._buffer = self._buffer, []
        return taken

    async def wait(self) -> None:
        """Wait for buffered changes or a read that is due. There is no time-out: an account may have no changes for
        any time.
        """
        if not self._buffer and self._behind is None:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
