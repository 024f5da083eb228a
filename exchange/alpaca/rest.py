"""The port Venue by the broker's REST interface. It decides nothing: what an answer proves is in `outcomes`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote
from uuid import UUID

from domain.model.errors import RequestHeldBackError, VenueNotConnectedError, VenueUnreachableError
from domain.model.rate_budget import RequestPriority
from domain.model.values import Instrument, Terms
from domain.ports.clock_and_ids import Clock
from domain.ports.rate_limiter import RateLimiter, Unlimited
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import (
    CancelOutcome,
    CancelPostponed,
    CancelUnknown,
    HeldBack,
    SubmissionOutcome,
    VenueOrder,
    VenueReport,
)
from exchange.alpaca.assets import parse_asset
from exchange.alpaca.events import activity_order, parse_fill_activity
from exchange.alpaca.fields import Json, WireError, as_list, as_object, parse_json, text, write_moment
from exchange.alpaca.http_answer import HttpAnswer, NotConnectedError
from exchange.alpaca.orders import order_json, parse_order
from exchange.alpaca.outcomes import (
    NOT_FOUND,
    TOO_MANY_REQUESTS,
    cancel_outcome,
    complaint_of,
    describe,
    describe_failure,
    is_unauthorized,
    question_failure,
    submission_failure,
    submission_outcome,
)
from exchange.alpaca.rate_headers import LIMIT_HEADER, announcement_of, retry_after
from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.transport import TRANSPORT_ERRORS, Transport, open_transport

ORDERS_PAGE_ROWS = 500
FILLS_PAGE_ROWS = 100
SERVER_ERRORS = 500

# The venue's `after` is exclusive and its times are finer than ours: a step back repeats rows, and never skips one.
STEP_BACK = timedelta(microseconds=1)
FILLS_STEP_BACK = timedelta(milliseconds=1)

_Parsed = TypeVar("_Parsed")


@asynccontextmanager
async def open_alpaca_venue(
    settings: AlpacaSettings, *, clock: Clock, telemetry: Telemetry, limiter: RateLimiter | None = None
) -> AsyncIterator["AlpacaVenue"]:
    """Open the venue with a pool of connections of its own; without a limiter every request is made at once."""
    async with open_transport(settings) as transport:
        yield AlpacaVenue(
            transport=transport, settings=settings, clock=clock, telemetry=telemetry, limiter=limiter or Unlimited()
        )


class AlpacaVenue:
    """The venue by request and answer."""

    name = "alpaca"

    def __init__(
        self,
        *,
        transport: Transport,
        settings: AlpacaSettings,
        clock: Clock,
        telemetry: Telemetry,
        limiter: RateLimiter,
    ) -> None:
        self._transport = transport
        self.limiter = limiter
        self._settings = settings
        self._rate_limit_wait_max = timedelta(seconds=settings.rate_limit_wait_max_seconds)
        self._clock = clock
        self._telemetry = telemetry

    async def submit(self, order_id: UUID, terms: Terms) -> SubmissionOutcome:
        """Send the order once. Never raises for what a venue can do."""
        body = order_json(order_id, terms)
        try:
            await self.limiter.acquire(RequestPriority.SUBMIT)
            answer = await self._transport.send("POST", "/v2/orders", body=body, names=str(order_id))
        except RequestHeldBackError as error:
            return HeldBack(error=str(error), retry_after=error.retry_after)
        except TRANSPORT_ERRORS as error:
            return submission_failure(error)
        await self._observe(answer)
        return submission_outcome(answer, order_id=order_id, now=self._clock(), wait_max=self._rate_limit_wait_max)

    async def cancel(self, venue_order_id: str) -> CancelOutcome:
        """Ask for the cancellation once. Never raises for what a venue can do."""
        try:
            await self.limiter.acquire(RequestPriority.CANCEL)
            answer = await self._transport.send("DELETE", _order_path(venue_order_id))
        except RequestHeldBackError as error:
            return CancelPostponed(error=str(error), retry_after=error.retry_after)
        except TRANSPORT_ERRORS as error:
            return CancelUnknown(error=describe_failure(error))
        await self._observe(answer)
        return cancel_outcome(answer, now=self._clock(), wait_max=self._rate_limit_wait_max)

    async def find(self, order_id: UUID) -> VenueOrder | None:
        """Look an order up by our id; None when the venue has none. Raises VenueUnreachableError."""
        name = str(order_id)
        found = await self._find("/v2/orders:by_client_order_id", {"client_order_id": name}, names=name)
        if found is not None and found.order_id != order_id:
            raise VenueUnreachableError("the venue's answer names another order")
        return found

    async def find_by_venue_order_id(self, venue_order_id: str) -> VenueOrder | None:
        """The same by the venue's own id. Raises VenueUnreachableError."""
        found = await self._find(_order_path(venue_order_id), {}, names=venue_order_id)
        if found is not None and found.venue_order_id != venue_order_id:
            raise VenueUnreachableError("the venue's answer names another order")
        return found

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Every open order, by submission time. Raises VenueUnreachableError.

        Orders of kinds that this system never sends are left out: they cannot be ours.
        """
        found: dict[str, VenueOrder] = {}
        seen: set[str] = set()
        query = {"status": "open", "limit": str(ORDERS_PAGE_ROWS), "direction": "asc", "nested": "false"}
        for _ in range(self._settings.pages_max):
            rows = await self._rows("/v2/orders", query)
            ids = {_row_id(row) for row in rows}
            orders = self._parsed(rows, parse_order)
            found.update((order.venue_order_id, order) for order in orders)
            if len(rows) < ORDERS_PAGE_ROWS:
                return list(found.values())
            if ids <= seen or not orders:
                break
            seen |= ids
            query["after"] = write_moment(max(order.submitted_at for order in orders) - STEP_BACK)
        raise VenueUnreachableError("the venue's list of open orders has no end")

    async def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[VenueReport]]:
        """Pages of fills, oldest first. Raises VenueUnreachableError.

        While a page is read and worked on the next one is asked for already.
        """
        query = {
            "after": write_moment(since - FILLS_STEP_BACK),
            "direction": "asc",
            "page_size": str(FILLS_PAGE_ROWS),
        }
        asked = self._ask_for_fills(query)
        try:
            for _ in range(self._settings.pages_max):
                rows = await asked
                is_last = len(rows) < FILLS_PAGE_ROWS
                if not is_last:
                    token = _row_id(rows[-1])
                    if token == query.get("page_token"):
                        break
                    query["page_token"] = token
                    asked = self._ask_for_fills(query)
                    await asyncio.sleep(0)  # It goes out before this page is read.
                if rows:
                    yield sorted(self._parsed(rows, parse_fill_activity), key=activity_order)
                if is_last:
                    return
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        raise VenueUnreachableError("the venue's list of fills has no end")

    def _ask_for_fills(self, query: Mapping[str, str]) -> asyncio.Task[Sequence[Json]]:
        return asyncio.create_task(self._rows("/v2/account/activities/FILL", dict(query)))

    async def instruments(self) -> Sequence[Instrument]:
        """What the venue trades, where it tells the ISIN. Raises VenueUnreachableError."""
        rows = await self._rows("/v2/assets", {}, response_max_bytes=self._settings.assets_max_bytes)
        return [instrument for instrument in self._parsed(rows, parse_asset) if instrument is not None]

    async def _find(self, path: str, query: Mapping[str, str], *, names: str) -> VenueOrder | None:
        answer = await self._ask(RequestPriority.LOOK_UP, path, query, names=names)
        if answer.status == NOT_FOUND and complaint_of(answer) is not None:
            return None
        try:
            return parse_order(as_object(_content(answer), what="order"))
        except WireError as error:
            raise VenueUnreachableError(f"the venue's order cannot be read: {error}") from error

    async def _rows(
        self, path: str, query: Mapping[str, str], *, response_max_bytes: int | None = None
    ) -> Sequence[Json]:
        answer = await self._ask(RequestPriority.CATCH_UP, path, query, response_max_bytes=response_max_bytes)
        try:
            rows = as_list(_content(answer), what="list")
            return [as_object(row, what="row") for row in rows]
        except WireError as error:
            raise VenueUnreachableError(f"the venue's list cannot be read: {error}") from error

    async def _ask(
        self,
        priority: RequestPriority,
        path: str,
        query: Mapping[str, str],
        *,
        response_max_bytes: int | None = None,
        names: str | None = None,
    ) -> HttpAnswer:
        await self.limiter.acquire(priority)
        try:
            answer = await self._transport.send(
                "GET", path, query=query, response_max_bytes=response_max_bytes, names=names
            )
        except NotConnectedError as error:
            raise VenueNotConnectedError(describe_failure(error)) from error
        except TRANSPORT_ERRORS as error:
            raise VenueUnreachableError(describe_failure(error)) from error
        await self._observe(answer)
        failure = question_failure(answer, now=self._clock(), wait_max=self._rate_limit_wait_max)
        if failure is not None:
            raise failure
        return answer

    async def _observe(self, answer: HttpAnswer) -> None:
        """Act on what an answer says to every caller: the rate limit, a pause, a key that is refused."""
        wait_max = self._rate_limit_wait_max
        if LIMIT_HEADER in answer.headers:
            self.limiter.observe(announcement_of(answer, now=self._clock(), wait_max=wait_max))
        elif answer.status < SERVER_ERRORS:  # Those are a gateway's, which knows no limit.
            self.limiter.observe(None)
        if answer.status == TOO_MANY_REQUESTS:
            wait = retry_after(answer, now=self._clock(), wait_max=wait_max)
            await self.limiter.pause(wait=wait, error=describe(answer))
        elif not answer.is_success and is_unauthorized(answer):
            self._telemetry.error(
                "venue_unauthorized",
                error=describe(answer),
                next="no request succeeds; fix EXCHANGE_KEY and EXCHANGE_SECRET, then restart",
            )

    def _parsed(self, rows: Sequence[Json], parse: Callable[[Json], _Parsed]) -> Sequence[_Parsed]:
        """Parse row by row: one that cannot be read must not hide the others for ever."""
        parsed: list[_Parsed] = []
        for row in rows:
            try:
                parsed.append(parse(row))
            except WireError as error:
                self._telemetry.count(Metric.REPORTS_UNREADABLE)
                self._telemetry.error(
                    "venue_row_unreadable",
                    venue=self.name,
                    row_id=str(row.get("id")),
                    error=str(error),
                    next="the row is left out; look at it at the venue",
                )
        return parsed


def _content(answer: HttpAnswer) -> object:
    """The JSON of a good answer. Raises VenueUnreachableError for any other, WireError when it is not JSON."""
    if not answer.is_success:
        raise VenueUnreachableError(describe(answer))
    return parse_json(answer.body)


def _row_id(row: Json) -> str:
    try:
        return text(row, "id")
    except WireError as error:
        raise VenueUnreachableError(f"the venue's list cannot be paged: {error}") from error


def _order_path(venue_order_id: str) -> str:
    return f"/v2/orders/{quote(venue_order_id, safe='')}"
