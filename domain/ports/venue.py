"""The venue: its requests and their outcomes, its orders, and the reports of its stream."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from domain.model.frozen import frozen
from domain.model.reports import OrderAccepted, Report
from domain.model.values import Instrument, Reason, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The venue accepted the order."""

    report: OrderAccepted


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyPlaced:
    """The venue says that it has an order with this id: an earlier attempt arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotExecuted:
    """Proved not to have been executed: the connection was never made, or the venue says so."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """There was no connection: no request was made."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """The shared rate limit left nothing for the request: it was not made."""

    error: str
    retry_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited:
    """Not executed: too many requests. Every worker waits for `retry_after`."""

    retry_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeUnknown:
    """Sent, and the answer proves nothing."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The venue rejects this order."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorized:
    """The venue refuses our key, not the order: the order waits until the key is fixed."""

    error: str


SubmissionOutcome = (
    Placed | AlreadyPlaced | NotExecuted | NotSent | HeldBack | RateLimited | OutcomeUnknown | Rejected | Unauthorized
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTaken:
    """The venue accepted the request; the stream reports whether the order is canceled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelNotPossible:
    """The venue refuses the request: the order has ended, or cannot be canceled."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelUnknown:
    """No usable answer. Canceling twice is harmless, so the request is sent again."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPostponed:
    """Not executed: the shared rate limit left nothing for the request, or the venue has too many."""

    error: str
    retry_after: timedelta


CancelOutcome = CancelTaken | CancelNotPossible | CancelUnknown | CancelPostponed


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue knows it. `order_id` is ours (the venue's client order id), None for an external order.

    `reports` states the same as facts: accepted, and ended if it is over. Its fills come from `Venue.fills`.
    """

    order_id: UUID | None
    venue_order_id: str
    terms: Terms
    filled_quantity: Decimal
    is_open: bool
    reports: Sequence[Report]
    submitted_at: datetime


@frozen
class VenueReport:
    """Reports about one order from one message of the venue. `at` is the venue's clock.

    `order_id` is None when the message names the order only by the venue's own id (`venue_order_id`), and when it names
    a client order id that is not one of ours; then it `is_external`, and needs no look-up. `raw` is the message
    as it came, where it came by itself.
    """

    order_id: UUID | None
    venue_order_id: str
    reports: Sequence[Report]
    at: datetime
    is_external: bool = False
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableReport:
    """A message that could not be parsed."""

    raw: bytes
    error: str


class Venue(Protocol):
    """The venue's requests. `name` identifies it in executions and stream positions."""

    name: str

    async def submit(self, order_id: UUID, terms: Terms) -> SubmissionOutcome:
        """Send the order once, with its id as the venue's client order id. No failure of the venue raises."""

    async def cancel(self, venue_order_id: str) -> CancelOutcome:
        """Send one cancel request. No failure of the venue raises."""

    async def find(self, order_id: UUID) -> VenueOrder | None:
        """Look an order up by our id; return None when the venue does not have it. Raises VenueUnreachableError."""

    async def find_by_venue_order_id(self, venue_order_id: str) -> VenueOrder | None:
        """Look an order up by the venue's id. Raises VenueUnreachableError."""

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return every order that is open at the venue. Raises VenueUnreachableError."""

    def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[VenueReport]]:
        """Yield pages of fills since that time of the venue's clock, oldest first. Raises VenueUnreachableError.

        They name their orders by the venue's id. A caller that does not read to the end must close the generator.
        """

    async def instruments(self) -> Sequence[Instrument]:
        """Return the venue's instruments that have an ISIN. Raises VenueUnreachableError."""


class VenueStream(Protocol):
    """The venue's execution stream: without sequence numbers, replay, or a guaranteed order."""

    def connect(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[VenueReport | UnreadableReport]]]:
        """Open, authenticate and listen; then yield reports in small groups until the connection ends.

        A group is small enough that other tasks of the event loop are not delayed. Raises VenueUnreachableError when
        the stream cannot be opened; the iterator ends or raises it when the connection is lost.
        """
