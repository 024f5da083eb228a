"""The gate in front of a venue: its pauses and its circuit, shared by all workers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerState:
    """How a venue's gate stands: whether its circuit is open, and how long nothing at all is claimed."""

    is_open: bool
    held_for: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerUpdate:
    """What came of telling the gate: how long it is shut now, and whether this call opened, closed or paused it."""

    is_new: bool
    held_for: timedelta


class BreakerStore(Protocol):
    """The gate in front of one venue, kept in the database for all workers. Every method raises Unavailable."""

    async def state(self) -> BreakerState:
        """How it stands."""

    async def failed(self, *, error: str, trips_at: int, open_for: timedelta) -> BreakerUpdate:
        """One more failure in a row; from `trips_at` on the circuit is open, and shut until `open_for` from now."""

    async def worked(self) -> BreakerUpdate:
        """The run of failures is over; an open circuit is closed. A pause that the venue asked for goes on."""

    async def pause(self, *, wait: timedelta, error: str) -> BreakerUpdate:
        """Shut for that long, or longer if it already is; new when that is more than a second longer."""

    async def allow_next_probe(self) -> None:
        """The probe showed nothing about the venue: the next order may be tried at once."""
