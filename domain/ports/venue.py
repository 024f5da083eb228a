"""The exchange: what it is asked, what it answers, and what it tells by itself."""

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
    """The venue took the order."""

    report: OrderAccepted


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyPlaced:
    """The venue says that it has an order with this id: an earlier attempt did arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotExecuted:
    """Proved not to have reached the market: the connection was never made, or the venue says so."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited:
    """Not executed: too many requests. Every worker waits until then."""

    retry_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeUnknown:
    """Sent, and the answer proves nothing."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The venue refuses this order for good."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorized:
    """The venue refuses us, not the order: the order waits, people must mend the key."""

    error: str


SubmissionOutcome = Placed | AlreadyPlaced | NotExecuted | RateLimited | OutcomeUnknown | Refused | Unauthorized


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTaken:
    """The venue took the request; whether it cancels, the stream will tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelNotPossible:
    """The venue refuses: the order is over there, or cannot be canceled."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelUnknown:
    """No usable answer. Canceling twice is harmless, so it is simply sent again."""

    error: str


CancelOutcome = CancelTaken | CancelNotPossible | CancelUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue knows it. `order_id` is ours (the venue's client order id), None for a foreign order.

    `reports` says the same as facts: accepted, and ended where it is over. Its fills come by `Venue.fills`.
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
    a client order id that is not one of ours; then it `is_external`, and nobody has to be asked. `raw` is the message
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
    """A message that could not be understood."""

    raw: bytes
    error: str


class Venue(Protocol):
    """The exchange by request and answer. Its name marks executions and stream positions."""

    name: str

    async def submit(self, order_id: UUID, terms: Terms) -> SubmissionOutcome:
        """Send the order once, with its id as the venue's client order id. Never raises for what a venue can do."""

    async def cancel(self, venue_order_id: str) -> CancelOutcome:
        """Ask for the cancellation once. Never raises for what a venue can do."""

    async def find(self, order_id: UUID) -> VenueOrder | None:
        """Look an order up by our id; None when the venue says that it has none. Raises VenueUnreachable."""

    async def find_by_venue_order_id(self, venue_order_id: str) -> VenueOrder | None:
        """The same by the venue's own id. Raises VenueUnreachable."""

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Every order that is open at the venue. Raises VenueUnreachable."""

    def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[VenueReport]]:
        """Pages of fills since that moment of the venue's clock, oldest first. Raises VenueUnreachable.

        They name their orders by the venue's own id. To be closed by whoever does not read it to its end.
        """

    async def instruments(self) -> Sequence[Instrument]:
        """What the venue trades, where it tells the ISIN. Raises VenueUnreachable."""


class VenueStream(Protocol):
    """The exchange's execution stream: no sequence numbers, no replay, no promise of order."""

    def connect(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[VenueReport | UnreadableReport]]]:
        """Open, authenticate and listen; then yield what comes, some at once, until the connection ends.

        They are few enough that others who work beside the reader need not wait.

        Raises VenueUnreachable when it cannot be opened; the iterator ends or raises it when the connection is lost.
        """
