"""A venue with scripted answers."""

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from domain.model.errors import VenueUnreachableError
from domain.model.executions import Trade
from domain.model.order import VenueRank
from domain.model.reports import OrderAccepted, OrderFilled
from domain.model.values import ZERO, Instrument, Reason, ReasonSource, Terms
from domain.ports.clock_and_ids import Clock
from domain.ports.rate_limiter import RateLimiter, Unlimited
from domain.ports.venue import (
    ExternalOrder,
    FoundOrder,
    ListedFill,
    OrdersPage,
    UnreadableOrder,
    VenueOrder,
    VenueReport,
)
from domain.ports.venue_clock import UnmeasuredClock
from domain.ports.venue_outcomes import (
    AlreadyPlaced,
    CancelNotPossible,
    CancelOutcome,
    CancelTaken,
    CancelUnknown,
    NotExecuted,
    Placed,
    SubmissionOutcome,
)
from tests.support.fakes.order_store import Interruption

NO_ANSWER = "no answer"
NOTHING_TO_CANCEL = Reason(source=ReasonSource.VENUE, code="VENUE_NOT_OPEN", message="There is no such open order.")


@dataclass(slots=True)
class ScriptedVenue:
    """Venue with scripted answers that stores the orders it accepts. Without a script it accepts.

    `during_place` runs during a submission. Orders in `hidden` are stored but missing from look-ups. The fills
    `listed_by_order` are listed only by their order. `external` are open external orders, listed first, `unreadable`
    orders of ours of which only the ids can be read. `look_up_failure` is raised by every request, those of
    `look_up_failures` by the look-up of that id.
    """

    clock: Clock
    name: str = "SCRIPTED"
    orders: dict[str, VenueOrder] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    is_reachable: bool = True
    look_up_failure: VenueUnreachableError | None = None
    look_up_failures: dict[str, VenueUnreachableError] = field(default_factory=dict)
    external: list[ExternalOrder] = field(default_factory=list)
    unreadable: list[UnreadableOrder] = field(default_factory=list)
    page_rows: int = 500
    asked: list[str] = field(default_factory=list)
    during_submit: Interruption | None = None
    fill_pages: list[Sequence[ListedFill]] = field(default_factory=list)
    listed_by_order: list[ListedFill] = field(default_factory=list)
    pages_read: list[str | None] = field(default_factory=list)
    fills_since: list[datetime] = field(default_factory=list)
    closed_since: list[datetime] = field(default_factory=list)
    leaves_cancels_pending: bool = False
    cancel_answers: deque[CancelOutcome] = field(default_factory=deque)
    limiter: RateLimiter = field(default_factory=Unlimited)
    _answers: deque[tuple[SubmissionOutcome, bool]] = field(default_factory=deque)

    @property
    def venue_clock(self) -> UnmeasuredClock:
        """Its clock is the tests' own."""
        return UnmeasuredClock(self.clock)

    def will_answer(self, *outcomes: SubmissionOutcome, keeps: bool = False) -> None:
        """Answer the next placements so; with `keeps` the order is accepted all the same."""
        self._answers.extend((outcome, keeps) for outcome in outcomes)

    async def submit(self, venue_client_order_id: str, terms: Terms) -> SubmissionOutcome:
        self.asked.append("submit")
        if self.during_submit is not None:
            await self.during_submit()
        if self._answers:
            outcome, keeps = self._answers.popleft()
            if keeps:
                self.keep(venue_client_order_id, terms)
            return outcome
        if not self.is_reachable:
            return NotExecuted(error=NO_ANSWER)
        if venue_client_order_id in self.orders:
            return AlreadyPlaced()
        return Placed(report=self.keep(venue_client_order_id, terms))

    def keep(self, venue_client_order_id: str, terms: Terms) -> OrderAccepted:
        """Add the order to the book."""
        venue_order_id = f"V{len(self.orders) + 1}"
        report = OrderAccepted(venue_order_id=venue_order_id, rank=VenueRank.WORKING, at=self.clock())
        self.orders[venue_client_order_id] = VenueOrder(
            venue_client_order_id=venue_client_order_id,
            venue_order_id=venue_order_id,
            terms=terms,
            filled_quantity=ZERO,
            is_open=True,
            reports=[report],
            submitted_at=self.clock(),
        )
        return report

    async def cancel(self, venue_order_id: str) -> CancelOutcome:
        self.asked.append(f"cancel {venue_order_id}")
        if self.cancel_answers:
            return self.cancel_answers.popleft()
        if not self.is_reachable:
            return CancelUnknown(error=NO_ANSWER)
        for name, order in self.orders.items():
            if order.venue_order_id == venue_order_id and order.is_open and not order.is_cancel_pending:
                self.orders[name] = replace(order, is_cancel_pending=self.leaves_cancels_pending)
                return CancelTaken()
        return CancelNotPossible(reason=NOTHING_TO_CANCEL)

    def fill(self, venue_client_order_id: str, *, quantity: Decimal, price: Decimal) -> None:
        """Execute a part of an order; its fill is a separate page."""
        order = self.orders[venue_client_order_id]
        total = order.filled_quantity + quantity
        self.orders[venue_client_order_id] = replace(
            order, filled_quantity=total, is_open=order.terms is None or total < order.terms.quantity
        )
        fill = OrderFilled(
            venue_execution_id=f"E{len(self.fill_pages) + 1}",
            trade=Trade(quantity=quantity, price=price),
            cumulative_quantity=total,
            venue_order_id=order.venue_order_id,
            at=self.clock(),
        )
        report = VenueReport(
            venue_client_order_id=None, venue_order_id=order.venue_order_id, reports=(fill,), at=fill.at
        )
        self.fill_pages.append([report])

    async def find(self, venue_client_order_id: str) -> VenueOrder | None:
        self.asked.append("find")
        self._require_link()
        self._require_answer(venue_client_order_id)
        return None if venue_client_order_id in self.hidden else self.orders.get(venue_client_order_id)

    async def find_by_venue_order_id(self, venue_order_id: str) -> FoundOrder | None:
        self.asked.append(f"find {venue_order_id}")
        self._require_link()
        self._require_answer(venue_order_id)
        found: list[FoundOrder] = [*self.orders.values(), *self.external, *self.unreadable]
        return next((one for one in found if one.venue_order_id == venue_order_id), None)

    def execution_id(self, stated: str) -> str:
        return stated.rpartition("::")[2]

    async def open_orders(self, *, page: str | None = None) -> OrdersPage:
        self.pages_read.append(page)
        self._require_link()
        ours = [one for name, one in self.orders.items() if one.is_open and name not in self.hidden]
        rows: list[FoundOrder] = [*self.external, *self.unreadable, *ours]
        first = int(page or 0)
        after = first + self.page_rows
        return OrdersPage(orders=rows[first:after], next_page=str(after) if after < len(rows) else None)

    async def closed_orders(self, *, since: datetime, page: str | None = None) -> OrdersPage:
        self.asked.append("closed")
        self._require_link()
        self.closed_since.append(since)
        rows = [
            one
            for name, one in self.orders.items()
            if not one.is_open and one.submitted_at >= since and name not in self.hidden
        ]
        rows.sort(key=lambda one: one.submitted_at, reverse=True)
        first = int(page or 0)
        after = first + self.page_rows
        return OrdersPage(orders=rows[first:after], next_page=str(after) if after < len(rows) else None)

    async def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:
        self._require_link()
        self.fills_since.append(since)
        for page in self.fill_pages:
            yield page

    async def fills_of(self, venue_order_id: str) -> AsyncGenerator[Sequence[ListedFill]]:
        self.asked.append(f"fills of {venue_order_id}")
        self._require_link()
        for page in (*self.fill_pages, self.listed_by_order):
            yield [fill for fill in page if fill.venue_order_id == venue_order_id]

    async def instruments(self) -> Sequence[Instrument]:
        self._require_link()
        return ()

    def _require_answer(self, name: str) -> None:
        if name in self.look_up_failures:
            raise self.look_up_failures[name]

    def _require_link(self) -> None:
        if self.look_up_failure is not None:
            raise self.look_up_failure
        if not self.is_reachable:
            raise VenueUnreachableError(NO_ANSWER)
