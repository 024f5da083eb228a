"""Time and ids that only a test moves."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


@dataclass(slots=True)
class SettableClock:
    """A clock that advances only when a test sets it, or by `step` with each read."""

    now: datetime = MIDNIGHT
    step: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        self.now += self.step
        return self.now

    def advance(self, by: timedelta) -> None:
        """Advance the time."""
        self.now += by


@dataclass(slots=True)
class CountingIds:
    """Ids that rise by one, so that a failing test reads well."""

    given: int = 0

    def __call__(self) -> UUID:
        self.given += 1
        return UUID(int=self.given)
