"""The venue's clock, as far as known from its answers: the venue's times are compared only with this clock."""

from datetime import datetime
from typing import Protocol

from domain.ports.clock_and_ids import Clock


class VenueClock(Protocol):
    """The venue's clock. Called, it returns the present moment there; before the first measurement, our own."""

    def __call__(self) -> datetime:
        """Return the time at the venue, aware, in UTC."""

    def begin(self) -> datetime | None:
        """Return the time at which a request is sent, to be passed to `note`; None while no measurement is due."""

    def note(self, shown: datetime, *, asked_at: datetime) -> None:
        """Use the time in the venue's answer, in whole seconds, to the request that began at `asked_at`."""


class UnmeasuredClock:
    """Our own clock in the place of the venue's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self) -> datetime:
        """Return our time."""
        return self._clock()

    def begin(self) -> None:
        """Measure nothing."""

    def note(self, shown: datetime, *, asked_at: datetime) -> None:
        """Do nothing."""
