"""How often something may happen: a burst at once, and then a steady rate."""


class TokenBucket:
    """So many at once, and so many more with each second. `now` is in seconds of any clock that only goes forward."""

    __slots__ = ("_burst", "_counted_at", "_left", "_per_second")

    def __init__(self, *, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._counted_at = now

    def take(self, count: float = 1, *, now: float) -> bool:
        """Whether so many may happen now; a refusal takes nothing."""
        self._left = min(self._burst, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._left < count:
            return False
        self._left -= count
        return True
