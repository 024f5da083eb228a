"""The exchange's clock, which can be set apart from ours."""

from datetime import UTC, datetime, timedelta

CLOCK_OFFSET_MAX_SECONDS = 31_536_000
_TICK = timedelta(microseconds=1)


class VenueClock:
    """UTC times that never repeat nor decrease, so that paging by an exclusive time misses nothing.

    Only a smaller offset sets it back; the times after that can be before earlier ones.
    """

    def __init__(self, *, offset_seconds: float = 0) -> None:
        self.offset = timedelta(seconds=offset_seconds)
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        self._last = max(datetime.now(UTC) + self.offset, self._last + _TICK)
        return self._last

    def set_offset(self, seconds: float) -> None:
        """Set the clock to this distance from the system's; a positive one is ahead of it."""
        self.offset = timedelta(seconds=seconds)
        self._last = datetime.min.replace(tzinfo=UTC)
