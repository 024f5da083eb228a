"""The state of a venue's circuit breaker in memory, with the claims' side of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from domain.ports.breaker_store import BreakerState, BreakerUpdate
from domain.ports.clock_and_ids import Clock

NO_TIME = timedelta(0)
PAUSE_MOVES_BY = timedelta(seconds=1)

Item = TypeVar("Item")


@dataclass(slots=True)
class MemoryBreakerStore:
    """BreakerStore. `failure` is raised by every call."""

    clock: Clock
    failures: int = 0
    probe_at: datetime | None = None
    paused_until: datetime | None = None
    reason: str | None = None
    failure: Exception | None = None

    async def state(self) -> BreakerState:
        self._require_database()
        return BreakerState(is_open=self.probe_at is not None, held_for=self.held_for())

    async def record_failure(self, *, error: str, threshold: int, open_for: timedelta) -> BreakerUpdate:
        self._require_database()
        was_open = self.probe_at is not None
        self.failures += 1
        self.reason = error
        if was_open or self.failures >= threshold:
            self.probe_at = self.clock() + open_for
        return BreakerUpdate(is_new=not was_open and self.probe_at is not None, held_for=self.held_for())

    async def record_success(self) -> BreakerUpdate:
        self._require_database()
        was_open = self.probe_at is not None
        self.failures, self.probe_at = 0, None
        return BreakerUpdate(is_new=was_open, held_for=self.held_for())

    async def pause(self, *, wait: timedelta, error: str) -> BreakerUpdate:
        self._require_database()
        until = self.clock() + wait
        is_new = self.paused_until is None or self.paused_until < until - PAUSE_MOVES_BY
        if is_new:
            self.paused_until, self.reason = until, error
        return BreakerUpdate(is_new=is_new, held_for=self.held_for())

    async def allow_next_probe(self) -> None:
        self._require_database()
        if self.probe_at is not None:
            self.probe_at = min(self.probe_at, self.clock())

    def held_for(self) -> timedelta:
        """Return how long no claim is allowed."""
        now = self.clock()
        return max(self.paused_until or now, self.probe_at or now, now) - now

    @property
    def is_paused(self) -> bool:
        """Return whether the venue requested a pause that has not ended."""
        return self.paused_until is not None and self.paused_until > self.clock()

    def claimable(self, due: Sequence[Item], *, lease: timedelta) -> Sequence[Item]:
        """Return what may be claimed of the due orders: nothing, one probe, or all."""
        if self.held_for() > NO_TIME or not due:
            return ()
        if self.probe_at is None:
            return due
        self.probe_at = self.clock() + lease / 2
        return due[:1]

    def _require_database(self) -> None:
        if self.failure is not None:
            raise self.failure
