"""Requests of operators to resolve orders: stored by the API or a command, applied by a worker."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from domain.model.resolutions import NewResolution, Refusal, Resolution


class ResolutionRequests(Protocol):
    """The requests for the operators' side. Every method raises UnavailableError."""

    async def add(self, new: NewResolution) -> Resolution:
        """Store a request, or return the one that its subject made before for this order under the same id.

        Raises OrderNotFoundError, and ClientRequestIdConflictError when that one has other content.
        """

    async def find(self, resolution_id: UUID) -> Resolution:
        """Return a stored request in its current state."""


class Resolutions(Protocol):
    """The requests for a worker. Those that change an order are completed by the write of the order. Every method
    raises UnavailableError.
    """

    async def take(self, *, limit: int, lease: timedelta) -> Sequence[Resolution]:
        """Return requests that are not done, and keep them from others until the lease ends.

        Actions come first, the oldest before the others: a page that asks for many orders must not delay them. One that
        cannot be read is refused.
        """

    async def find(self, resolution_id: UUID) -> Resolution:
        """Return a request in its current state."""

    async def complete(self, resolution_id: UUID, *, before: str, after: str) -> None:
        """Mark a request as done that changed no order by itself, and append it to the audit trail."""

    async def refuse(self, resolution_id: UUID, refusal: Refusal) -> None:
        """Mark a request as refused."""

    async def answer(self, resolution_id: UUID, answer: str) -> None:
        """Mark a question as answered."""
