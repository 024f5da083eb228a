"""State of ingest: which process leads, the position of the stream, and the dead letters."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The right to record a venue's stream. It is valid until another process leads, with a higher epoch."""

    venue: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """The lease of another process. Each renewal changes it: while two reads return the same, it has not been
    renewed.
    """

    epoch: int
    until: datetime | None


class LeadershipLease(Protocol):
    """The lease of a venue's stream: one process at a time holds it.

    It ends at a time of the database's clock, or when a waiting process has seen no renewal for its whole duration: the
    database's clock may have been set back since it was written.
    """

    async def acquire(
        self, venue: str, *, leader_id: UUID, lease: timedelta, ended: HeldLease | None = None
    ) -> Fence | HeldLease:
        """Acquire the lease under a new epoch, or return that of another process.

        A lease that still equals `ended` is acquired for any time of the database's clock.
        """

    async def renew(self, fence: Fence, *, lease: timedelta) -> bool:
        """Extend the lease to `lease` from now; return False when another process has acquired it."""

    async def release(self, fence: Fence) -> None:
        """End the lease immediately, if the fence is still valid."""


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
