"""The exchange's clock."""

from datetime import UTC, datetime, timedelta

_TICK = timedelta(microseconds=1)


class VenueClock:
    """UTC times that never repeat nor go back, so that paging by an exclusive time misses nothing."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        self._last = max(datetime.now(UTC), self._last + _TICK)
        return self._last
