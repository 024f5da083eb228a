"""A rate limit: a burst, and then a steady rate."""


class TokenBucket:
    """A bucket that contains a burst and is refilled each second. `now` is in monotonic seconds."""

    __slots__ = ("_burst", "_counted_at", "_left", "_per_second")

    def __init__(self, *, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._counted_at = now

    def take(self, count: float = 1, *, now: float) -> bool:
        """Take `count` tokens and return True, or return False and take none."""
        self._left = min(self._burst, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._left < count:
            return False
        self._left -= count
        return True
