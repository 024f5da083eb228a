"""State of ingest: which process leads, the position of the stream, and the dead letters."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The right to record a venue's stream. It holds until another process leads, under a higher epoch."""

    venue: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """The lease as another process holds it. Each renewal makes it another one: while two reads return the same,
    nobody has renewed it."""

    epoch: int
    until: datetime | None


class LeadershipLease(Protocol):
    """The lease of a venue's stream: one process at a time holds it.

    It ends at a time of the database's clock, or when a process that waits for it has seen it unrenewed for as long as
    it lasts: the database's clock may have been put back since it was written.
    """

    async def acquire(
        self, venue: str, *, leader_id: UUID, lease: timedelta, ended: HeldLease | None = None
    ) -> Fence | HeldLease:
        """Acquire the lease under a new epoch, or return it as another process holds it.

        A lease that is still exactly `ended` is acquired whatever the database's clock says.
        """

    async def renew(self, fence: Fence, *, lease: timedelta) -> bool:
        """Extend the lease to `lease` from now; return False when another process has acquired it."""

    async def release(self, fence: Fence) -> None:
        """End the lease at once, if the fence still holds."""


class Position(Enum):
    """What a position is about: up to when fills are recorded, or up to when the orders that are over were compared."""

    FILLS = auto()
    CLOSED_ORDERS = auto()


class StreamPositions(Protocol):
    """The times of the venues' clocks up to which everything is recorded: where the next catch-up starts."""

    async def read(self, venue: str, position: Position = Position.FILLS) -> datetime | None:
        """Return the stored time, or None before the first catch-up, or comparison."""

    async def advance(
        self, venue: str, moment: datetime, *, position: Position = Position.FILLS, fence: Fence | None = None
    ) -> None:
        """Move the position forward, if the fence holds; it never goes back."""


class DeadLetters(Protocol):
    """Messages that could not be processed, raw, for people to inspect."""

    async def add(self, *, source: str, error: str, raw: bytes) -> None:
        """Store a message; identical ones are stored once, with a count."""
