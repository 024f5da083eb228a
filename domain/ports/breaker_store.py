"""The stored state of a venue's circuit breaker: its circuit and its pauses, shared by all workers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerState:
    """Whether the circuit is open, and how long no claims are allowed."""

    is_open: bool
    held_for: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerUpdate:
    """The result of a call: how long no claims are allowed now, and whether this call opened, closed or paused it."""

    is_new: bool
    held_for: timedelta


class BreakerStore(Protocol):
    """The state of one venue's breaker, in the database. Every method raises UnavailableError."""

    async def state(self) -> BreakerState:
        """Return the current state."""

    async def record_failure(self, *, error: str, threshold: int, open_for: timedelta) -> BreakerUpdate:
        """Count one more consecutive failure. From `threshold` on the circuit is open and blocks claims for `open_for`.

        Set `is_new` if this call opened it.
        """

    async def record_success(self) -> BreakerUpdate:
        """Reset the count of failures and close the circuit. A pause that the venue requested continues."""

    async def pause(self, *, wait: timedelta, error: str) -> BreakerUpdate:
        """Block claims for `wait`, unless they are blocked for longer; new if that moves the end by over a second."""

    async def allow_next_probe(self) -> None:
        """Allow the next probe immediately: the last one showed nothing about the venue."""
