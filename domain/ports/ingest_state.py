"""What following a venue's stream needs: who leads, how far it got, and what nobody could read."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The right to write what a venue's stream says. It holds until another process leads, under a higher epoch."""

    venue: str
    epoch: int


class LeadershipLease(Protocol):
    """Which process follows a venue's stream: one at a time, until a moment of the database's clock."""

    async def take(self, venue: str, *, leader_id: UUID, lease: timedelta) -> Fence | None:
        """Lead under a new epoch, unless somebody else does; None then."""

    async def renew(self, fence: Fence, *, lease: timedelta) -> bool:
        """Lead for that long from now; False when another one has taken over."""

    async def give_back(self, fence: Fence) -> None:
        """End the lease at once, if it is still this one."""


class StreamPositions(Protocol):
    """Up to which moment of the venue's clock everything was recorded: where the next catch-up starts."""

    async def read(self, venue: str) -> datetime | None:
        """The stored moment, or None before the first catch-up."""

    async def advance(self, venue: str, moment: datetime, *, fence: Fence | None = None) -> None:
        """Move the position forward, if the fence holds; it never goes back."""


class DeadLetters(Protocol):
    """What could not be understood, raw, for people to look at."""

    async def keep(self, *, source: str, error: str, raw: bytes) -> None:
        """Store one; identical ones are kept once with a count."""
