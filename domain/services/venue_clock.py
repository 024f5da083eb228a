"""Measurement of the venue's clock by the time in its answers.

An answer's time is the venue's time between the request and the answer, in whole seconds. So each answer gives bounds
of the difference of the clocks, and only the proved part of the difference counts: a slow answer proves less, and never
a false difference. The median of several answers is used, since one may come from a cache.
"""

from collections import deque
from datetime import datetime, timedelta

from domain.ports.clock_and_ids import Clock
from domain.ports.telemetry import Metric, Telemetry

SAMPLES_MAX = 9
SAMPLES_MIN = 3
"""How many answers must agree before an alert."""
MEASURED_EVERY = timedelta(seconds=1)
SHOWN_RESOLUTION = timedelta(seconds=1)
NO_TIME = timedelta(0)


class MeasuredVenueClock:
    """The venue's clock. `steady` is monotonic, `wall` may be set; `skew_max` is the highest difference from the
    venue's without an alert.
    """

    def __init__(self, *, wall: Clock, steady: Clock, telemetry: Telemetry, skew_max: timedelta) -> None:
        self._wall = wall
        self._steady = steady
        self._telemetry = telemetry
        self._skew_max = skew_max
        self._leads = deque[timedelta](maxlen=SAMPLES_MAX)
        self._measured_at: datetime | None = None
        self._is_skewed = False

    def __call__(self) -> datetime:
        """Return the time at the venue; our own before the first measurement."""
        return self._steady() - self._lead()

    def begin(self) -> datetime | None:
        """Return the time at which a request is sent; None while no measurement is due."""
        now = self._steady()
        is_due = self._measured_at is None or now - self._measured_at >= MEASURED_EVERY
        return now if is_due else None

    def note(self, shown: datetime, *, asked_at: datetime) -> None:
        """Note the time in the answer to the request that began at `asked_at`."""
        now = self._measured_at = self._steady()
        least, most = asked_at - shown - SHOWN_RESOLUTION, now - shown
        self._leads.append(least if least > NO_TIME else min(most, NO_TIME))
        # Ours minus the venue's: what the wall clock shows beyond the venue's time.
        self._tell(self._wall() - now + self._lead())

    def _lead(self) -> timedelta:
        """Return how far the steady clock is ahead of the venue's."""
        return sorted(self._leads)[len(self._leads) // 2] if self._leads else NO_TIME

    def _tell(self, skew: timedelta) -> None:
        self._telemetry.set(Metric.CLOCK_SKEW_SECONDS, skew.total_seconds())
        is_skewed = abs(skew) > self._skew_max
        if is_skewed == self._is_skewed or len(self._leads) < SAMPLES_MIN:
            return
        self._is_skewed = is_skewed
        seconds = round(skew.total_seconds(), 3)
        if is_skewed:
            self._telemetry.error(
                "clock_skewed", skew_seconds=seconds, next="the venue's own times are used; set this host's clock"
            )
        else:
            self._telemetry.info("clock_in_step", skew_seconds=seconds)
