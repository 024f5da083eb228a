"""The limit of requests that a venue puts on one key, shared by all processes: its use, and its storage."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.model.rate_budget import RateAnnouncement, RateBudget, RequestPriority


class RateLimiter(Protocol):
    """The check before every request to the venue, and the reader of the limit in every answer."""

    async def acquire(self, priority: RequestPriority) -> None:
        """Return when the request may be made. Raises RequestHeldBackError when that would take too long."""

    def held_for(self, priority: RequestPriority) -> timedelta:
        """Return how long requests of the class would be held back, as far as this process knows. Never waits."""

    def observe(self, announcement: RateAnnouncement | None) -> None:
        """Store the announcement in an answer; None when there is none. Never waits."""

    async def pause(self, *, wait: timedelta, error: str) -> None:
        """Hold back every class, in all processes, for the pause that the venue requests. Never raises."""


class Unlimited:
    """A venue without a limit: for tests and tools that have none to share."""

    async def acquire(self, priority: RequestPriority) -> None:
        """Return immediately."""

    def held_for(self, priority: RequestPriority) -> timedelta:  # noqa: ARG002 - the port's shape
        """Return no time."""
        return timedelta(0)

    def observe(self, announcement: RateAnnouncement | None) -> None:
        """Do nothing."""

    async def pause(self, *, wait: timedelta, error: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBudget:
    """A budget as it is stored; None when the venue announces no limit. `version` is 0 when nothing was ever stored.

    `now` and `paused_until` are in epoch seconds by the database's clock, which all processes use.
    """

    budget: RateBudget | None
    version: int
    now: float
    paused_until: float | None


class RateBudgetStore(Protocol):
    """Keeps the budget of one venue key for all processes. Every method raises UnavailableError."""

    async def read(self) -> StoredBudget:
        """Return the budget and the present moment."""

    async def write(self, budget: RateBudget | None, *, version: int) -> bool:
        """Store the budget; False when another process has stored one since that version was read."""
