"""The port Venue by the broker's REST interface. It decides nothing: the meaning of an answer is in `outcomes`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from urllib.parse import quote

from domain.model.errors import RequestHeldBackError, VenueNotConnectedError, VenueUnreachableError
from domain.model.rate_budget import RequestPriority
from domain.model.values import Instrument, Terms
from domain.ports.clock_and_ids import Clock
from domain.ports.installation import Installation
from domain.ports.rate_limiter import RateLimiter, Unlimited
from domain.ports.telemetry import Telemetry
from domain.ports.venue import FoundOrder, ListedFill, OrdersPage, VenueOrder
from domain.ports.venue_clock import UnmeasuredClock, VenueClock
from domain.ports.venue_outcomes import CancelOutcome, CancelPostponed, CancelUnknown, SubmissionOutcome
from exchange.alpaca.assets import parse_asset
from exchange.alpaca.fields import Json, WireError, as_list, as_object, parse_json, write_moment
from exchange.alpaca.fill_activities import execution_id
from exchange.alpaca.fill_pages import fill_pages
from exchange.alpaca.http_answer import HttpAnswer, NotConnectedError
from exchange.alpaca.limited_transport import LimitedTransport
from exchange.alpaca.orders import order_json, parse_found_order, parse_order
from exchange.alpaca.outcomes import (
    cancel_outcome,
    describe,
    describe_failure,
    proves_absence,
    question_failure,
    submission_failure,
    submission_outcome,
)
from exchange.alpaca.pages import CLOSED_ORDERS, OPEN_ORDERS, ListRows, OrderList
from exchange.alpaca.row_reader import RowReader
from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.transport import TRANSPORT_ERRORS, Transport, open_transport
from exchange.alpaca.unknown_values import count_unknown_values

# The venue's `after` is exclusive and its times are finer than ours: a step back repeats rows, and never skips one.
FILLS_STEP_BACK = timedelta(milliseconds=1)


@asynccontextmanager
async def open_alpaca_venue(
    settings: AlpacaSettings,
    *,
    installation: Installation,
    clock: Clock,
    telemetry: Telemetry,
    limiter: RateLimiter | None = None,
    venue_clock: VenueClock | None = None,
) -> AsyncIterator["AlpacaVenue"]:
    """Open the venue with its own pool of connections; without a limiter every request is made immediately."""
    async with open_transport(settings) as transport:
        yield AlpacaVenue(
            transport=transport,
            settings=settings,
            installation=installation,
            clock=clock,
            telemetry=telemetry,
            limiter=limiter or Unlimited(),
            venue_clock=venue_clock or UnmeasuredClock(clock),
        )


class AlpacaVenue:
    """The venue by request and answer.

    Requests about external orders raise UnavailableError while the database has not returned the prefixes of ours.
    """

    name = "alpaca"

    def __init__(
        self,
        *,
        transport: Transport,
        settings: AlpacaSettings,
        installation: Installation,
        clock: Clock,
        telemetry: Telemetry,
        limiter: RateLimiter,
        venue_clock: VenueClock,
    ) -> None:
        self._installation = installation
        self.limiter = limiter
        self.venue_clock = venue_clock
        self._settings = settings
        self._rate_limit_wait_max = timedelta(seconds=settings.rate_limit_wait_max_seconds)
        self._transport = LimitedTransport(
            transport,
            limiter=limiter,
            clock=clock,
            venue_clock=venue_clock,
            telemetry=telemetry,
            wait_max=self._rate_limit_wait_max,
        )
        self._clock = clock
        self._telemetry = telemetry
        self._reader = RowReader(venue=self.name, telemetry=telemetry)

    async def submit(self, venue_client_order_id: str, terms: Terms) -> SubmissionOutcome:
        """Send the order once, immediately: the caller has acquired the request from the rate limiter. Never raises
        for a failure of the venue.
        """
        body = order_json(venue_client_order_id, terms)
        try:
            answer = await self._transport.send(None, "POST", "/v2/orders", body=body, names=venue_client_order_id)
        except TRANSPORT_ERRORS as error:
            return submission_failure(error)
        return submission_outcome(
            answer,
            venue_client_order_id=venue_client_order_id,
            now=self._clock(),
            wait_max=self._rate_limit_wait_max,
        )

    async def cancel(self, venue_order_id: str) -> CancelOutcome:
        """Request the cancellation once. Never raises for a failure of the venue."""
        try:
            answer = await self._transport.send(RequestPriority.CANCEL, "DELETE", _order_path(venue_order_id))
        except RequestHeldBackError as error:
            return CancelPostponed(error=str(error), retry_after=error.retry_after)
        except TRANSPORT_ERRORS as error:
            return CancelUnknown(error=describe_failure(error))
        return cancel_outcome(answer, now=self._clock(), wait_max=self._rate_limit_wait_max)

    async def find(self, venue_client_order_id: str) -> VenueOrder | None:
        """Look up an order of ours; None when the venue has none. Raises VenueUnreachableError."""
        name = venue_client_order_id
        data = await self._find("/v2/orders:by_client_order_id", {"client_order_id": name}, names=name)
        if data is None:
            return None
        if data.get("client_order_id") != name:
            raise VenueUnreachableError("the venue's answer names another order")
        try:
            order = parse_order(data, venue_client_order_id=name)
        except WireError as error:
            self._reader.note_unreadable(row_id=name, error=str(error))
            raise VenueUnreachableError(f"the venue's order cannot be read: {error}") from error
        count_unknown_values(self._telemetry, order.unknown_values)
        return order

    async def find_by_venue_order_id(self, venue_order_id: str) -> FoundOrder | None:
        """Look up any order by the venue's own id. Raises VenueUnreachableError."""
        prefixes = await self._installation.prefixes()
        data = await self._find(_order_path(venue_order_id), {}, names=venue_order_id)
        if data is None:
            return None
        try:
            found = parse_found_order(data, prefixes)
        except WireError as error:
            raise VenueUnreachableError(f"the venue's order cannot be read: {error}") from error
        if found.venue_order_id != venue_order_id:
            raise VenueUnreachableError("the venue's answer names another order")
        return found

    def execution_id(self, stated: str) -> str:
        """Return the id under which an execution is recorded: lists append it to the time of their row."""
        return execution_id(stated)

    async def open_orders(self, *, page: str | None = None) -> OrdersPage:
        """Return one page of the open orders, the oldest first. Raises VenueUnreachableError."""
        return await self._orders_page(OPEN_ORDERS, page=page)

    async def closed_orders(self, *, since: datetime, page: str | None = None) -> OrdersPage:
        """Return one page of the orders that have ended, the newest first. Raises VenueUnreachableError."""
        return await self._orders_page(CLOSED_ORDERS, page=page, since=since)

    async def _orders_page(self, orders: OrderList, *, page: str | None, since: datetime | None = None) -> OrdersPage:
        prefixes = await self._installation.prefixes()
        rows = await self._rows("/v2/orders", orders.query(page=page, since=since))
        found = self._reader.found_orders(rows.objects, prefixes)
        return OrdersPage(orders=found, next_page=orders.next_page(rows, page))

    async def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:
        """Yield pages of fills, oldest first. Raises VenueUnreachableError."""
        async with aclosing(self._fill_pages({"after": write_moment(since - FILLS_STEP_BACK)})) as pages:
            async for page in pages:
                yield page

    async def fills_of(self, venue_order_id: str) -> AsyncGenerator[Sequence[ListedFill]]:
        """Yield pages of the fills of one order. Raises VenueUnreachableError."""
        async with aclosing(self._fill_pages({"order_id": venue_order_id})) as pages:
            async for page in pages:
                # A venue without this filter lists those of all orders.
                yield [fill for fill in page if fill.venue_order_id == venue_order_id]

    def _fill_pages(self, wanted: Mapping[str, str]) -> AsyncGenerator[Sequence[ListedFill]]:
        return fill_pages(self._fill_rows, self._reader, wanted=wanted, pages_max=self._settings.pages_max)

    async def _fill_rows(self, query: Mapping[str, str]) -> ListRows:
        return await self._rows("/v2/account/activities/FILL", query)

    async def instruments(self) -> Sequence[Instrument]:
        """Return the venue's instruments with an ISIN. Raises VenueUnreachableError."""
        rows = await self._rows("/v2/assets", {}, response_max_bytes=self._settings.assets_max_bytes)
        return [instrument for instrument in self._reader.parsed(rows.objects, parse_asset) if instrument is not None]

    async def _find(self, path: str, query: Mapping[str, str], *, names: str) -> Json | None:
        answer = await self._ask(RequestPriority.LOOK_UP, path, query, names=names)
        if proves_absence(answer):
            return None
        try:
            return as_object(_content(answer), what="order")
        except WireError as error:
            raise VenueUnreachableError(f"the venue's order cannot be read: {error}") from error

    async def _rows(self, path: str, query: Mapping[str, str], *, response_max_bytes: int | None = None) -> ListRows:
        answer = await self._ask(RequestPriority.CATCH_UP, path, query, response_max_bytes=response_max_bytes)
        try:
            rows = as_list(_content(answer), what="list")
        except WireError as error:
            raise VenueUnreachableError(f"the venue's list cannot be read: {error}") from error
        return self._reader.rows(rows)

    async def _ask(
        self,
        priority: RequestPriority,
        path: str,
        query: Mapping[str, str],
        *,
        response_max_bytes: int | None = None,
        names: str | None = None,
    ) -> HttpAnswer:
        try:
            answer = await self._transport.send(
                priority, "GET", path, query=query, response_max_bytes=response_max_bytes, names=names
            )
        except NotConnectedError as error:
            raise VenueNotConnectedError(describe_failure(error)) from error
        except TRANSPORT_ERRORS as error:
            raise VenueUnreachableError(describe_failure(error)) from error
        failure = question_failure(answer, now=self._clock(), wait_max=self._rate_limit_wait_max)
        if failure is not None:
            raise failure
        return answer


def _content(answer: HttpAnswer) -> object:
    """Return the JSON of a successful answer. Raises VenueUnreachableError for any other, WireError when it is not
    JSON.
    """
    if not answer.is_success:
        raise VenueUnreachableError(describe(answer))
    return parse_json(answer.body)


def _order_path(venue_order_id: str) -> str:
    return f"/v2/orders/{quote(venue_order_id, safe='')}"
