"""The cancel requests of an order, by number: which were requested, sent and refused. Reports about them commute."""

from dataclasses import replace
from datetime import datetime

from domain.model.frozen import frozen


@frozen
class CancelRequests:
    """Cancel requests by number: how many were requested and sent, and the last one that the venue refused."""

    requested: int = 0
    sent: int = 0
    refused: int = 0
    refused_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Return whether a request was made that the venue has not refused."""
        return self.requested > self.refused

    @property
    def is_unsent(self) -> bool:
        """Return whether the newest request still has to be sent to the venue."""
        return self.is_open and self.sent < self.requested

    def with_request(self) -> "CancelRequests":
        """Return the requests with one more, unless one is open."""
        return self if self.is_open else replace(self, requested=self.requested + 1)

    def with_sent(self, request: int) -> "CancelRequests":
        """Return the requests after the one with this number was sent."""
        return replace(self, sent=max(self.sent, request))

    def with_refusal(self, request: int | None, *, at: datetime) -> "CancelRequests":
        """Return the requests after the venue refused the one with this number, or, for None, all that were sent.

        Of refusals without a number only one that is newer than every known refusal counts.
        """
        if request is None and self.refused_at is not None and at <= self.refused_at:
            return self
        refused = self.sent if request is None else request
        refused_at = at if self.refused_at is None else max(self.refused_at, at)
        return replace(self, refused=max(self.refused, refused), refused_at=refused_at)
