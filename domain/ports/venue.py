"""The venue: its requests, its orders, and the reports of its stream."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.model.frozen import frozen
from domain.model.reports import Report
from domain.model.values import Instrument, Terms
from domain.ports.venue_outcomes import CancelOutcome, SubmissionOutcome

UnknownValue = tuple[str, str]
"""A field of the venue and its text, which is not one of the documented values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order of ours as the venue knows it.

    `terms` is None when the venue's order is of a kind that is never sent from here, a stop order for example.
    `updated_at` is when the venue changed it last; None when unknown. `is_cancel_pending`: the venue has a cancel
    request and has not carried it out. `replaces` and `replaced_by` are the venue's ids of the orders that it replaced
    and was replaced by. One that replaced another has a venue client order id that is not ours. `reports` has the same
    as facts: accepted, and ended if it has ended. Its fills are returned by `Venue.fills`.
    """

    venue_client_order_id: str
    venue_order_id: str
    terms: Terms | None
    filled_quantity: Decimal
    is_open: bool
    reports: Sequence[Report]
    submitted_at: datetime
    updated_at: datetime | None = None
    is_cancel_pending: bool = False
    replaces: str | None = None
    replaced_by: str | None = None
    unknown_values: Sequence[UnknownValue] = ()


@frozen
class UnreadableOrder:
    """An order of ours of which only the ids could be read."""

    venue_client_order_id: str
    venue_order_id: str
    error: str


@frozen
class ExternalOrder:
    """An order on the venue's account that was not placed here.

    Only its ids are read, unless it replaced another one, which may be ours: then the order is the `replacement`, if it
    can be read.
    """

    venue_order_id: str
    replacement: VenueOrder | None = None
    is_unreadable_replacement: bool = False


FoundOrder = VenueOrder | UnreadableOrder | ExternalOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersPage:
    """One page of the venue's open or closed orders, by submission time. `next_page` is None on the last page."""

    orders: Sequence[FoundOrder]
    next_page: str | None


@frozen
class VenueReport:
    """Reports about one order from one message of the venue. `at` is the venue's clock.

    `venue_client_order_id` is None when the message names the order only by the venue's own id (`venue_order_id`), and
    when that order was not placed here and replaced another one, which may be ours: then there is an OrderReplaced.
    `raw` is the received message.
    """

    venue_client_order_id: str | None
    venue_order_id: str
    reports: Sequence[Report]
    at: datetime
    unknown_values: Sequence[UnknownValue] = field(default=(), compare=False)
    raw: bytes = field(default=b"", repr=False, compare=False)


@frozen
class ExternalReport:
    """A message about an external order. Only its ids are read, or, of one that replaced another, can be read."""

    venue_order_id: str
    is_unreadable_replacement: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableReport:
    """A message that could not be parsed."""

    raw: bytes
    error: str


@frozen
class UnreadableFill:
    """A fill of the venue's list that could not be parsed, and the order that it names, if that could be read."""

    venue_order_id: str | None
    raw: bytes
    error: str


StreamItem = VenueReport | ExternalReport | UnreadableReport
"""One message of the stream."""
ListedFill = VenueReport | UnreadableFill
"""One row of the venue's list of fills."""


class Venue(Protocol):
    """The venue's requests. `name` identifies it in executions and stream positions."""

    name: str

    async def submit(self, venue_client_order_id: str, terms: Terms) -> SubmissionOutcome:
        """Send the order once under that id, immediately: the caller has acquired the request from the rate
        limiter. No failure of the venue raises.
        """

    async def cancel(self, venue_order_id: str) -> CancelOutcome:
        """Send one cancel request. No failure of the venue raises."""

    async def find(self, venue_client_order_id: str) -> VenueOrder | None:
        """Look up an order of ours; return None when the venue does not have it. Raises VenueUnreachableError."""

    async def find_by_venue_order_id(self, venue_order_id: str) -> FoundOrder | None:
        """Look up any client's order by the venue's id; return None when the venue does not have it.

        Raises VenueUnreachableError.
        """

    def execution_id(self, stated: str) -> str:
        """Return the id under which an execution is recorded, of the one that the venue's lists and statements show."""

    async def open_orders(self, *, page: str | None = None) -> OrdersPage:
        """Return one page of the open orders, the oldest first: the first page, or the `next_page` of another one.

        Raises VenueUnreachableError. An order that is submitted or moved while pages are read is on a later page.
        """

    async def closed_orders(self, *, since: datetime, page: str | None = None) -> OrdersPage:
        """Return one page of the ended orders that were submitted since then, the newest first.

        Raises VenueUnreachableError. An order that ends while pages are read may be on none of them.
        """

    def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:
        """Yield pages of fills since that time of the venue's clock, oldest first. Raises VenueUnreachableError.

        They name their orders by the venue's id. A caller that does not read to the end must close the generator.
        """

    def fills_of(self, venue_order_id: str) -> AsyncGenerator[Sequence[ListedFill]]:
        """Yield pages of all fills of one order, whenever they happened. Raises VenueUnreachableError.

        A caller that does not read to the end must close the generator.
        """

    async def instruments(self) -> Sequence[Instrument]:
        """Return the venue's instruments that have an ISIN. Raises VenueUnreachableError."""


class VenueStream(Protocol):
    """The venue's execution stream: without sequence numbers, replay, or a guaranteed order."""

    def connect(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[StreamItem]]]:
        """Open, authenticate and listen; then yield messages in small groups until the connection ends.

        A group is small enough that other tasks of the event loop are not delayed. Raises VenueUnreachableError when
        the stream cannot be opened; the iterator ends or raises it when the connection is lost.
        """
