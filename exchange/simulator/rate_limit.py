"""The broker's limit of requests a minute, in fixed windows. Pure: the time is an argument."""

WINDOW_SECONDS = 60


class RateLimit:
    """Counts the requests of the present window."""

    def __init__(self) -> None:
        self._window = 0
        self._used = 0

    def take(self, *, limit: int, now_seconds: float) -> tuple[bool, dict[str, str]]:
        """Return whether one more request is allowed, and the rate limit headers; the reset is in epoch seconds."""
        window = int(now_seconds) // WINDOW_SECONDS
        if window != self._window:
            self._window, self._used = window, 0
        is_allowed = self._used < limit
        self._used += is_allowed
        return is_allowed, {
            "X-Ratelimit-Limit": str(limit),
            "X-Ratelimit-Remaining": str(limit - self._used),
            "X-Ratelimit-Reset": str((window + 1) * WINDOW_SECONDS),
        }
