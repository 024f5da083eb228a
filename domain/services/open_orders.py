"""Comparison of our open orders with the venue's list, which includes external ones, and look-ups of those that it
lacks.

Hundreds of orders end at the same time, at the close. So where many are missing the venue's list of closed orders is
read first, 500 to a request, and only orders missing there are looked up.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.model.errors import (
    VenueBusyError,
    VenueNotConnectedError,
    VenueUnauthorizedError,
    VenueUnreachableError,
)
from domain.model.order import OrderStatus
from domain.ports.clock_and_ids import Clock
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import ExternalOrder, FoundOrder, Venue
from domain.services.catch_up import CatchUp
from domain.services.chain_look_up import look_up
from domain.services.look_up_schedule import LOOK_UPS_PER_PAGE, LookUpPolicy, LookUpSchedule
from domain.services.lost_orders import LostOrders
from domain.services.recording import Recording
from domain.services.shown_orders import OrdersByName, ShownOrders
from domain.services.taken_back_orders import TakenBackOrders

Revision = tuple[str, int]
"""An order's venue client order id and its version: a change makes a new look-up due."""


@dataclass(slots=True, kw_only=True)
class OpenOrders:
    """Compares in runs. One run reads at most `pages_max` pages of the list; the next one continues there.

    `_listed` are our orders on the pages read so far. Orders are looked up when the last page has been read. A second
    run at the same time waits for the first. `overlap` is by how much our clock and the venue's may differ;
    `venue_clock` is the venue's, as far as it is known.
    """

    venue: Venue
    orders: OrderStore
    recording: Recording
    fills: CatchUp
    telemetry: Telemetry
    clock: Clock
    venue_clock: Clock
    overlap: timedelta
    pages_max: int
    look_ups: LookUpPolicy
    lost: LostOrders
    _page: str | None = None
    _closed_page: str | None = None
    _listed: set[str] = field(default_factory=set)
    _schedule: LookUpSchedule[Revision] = field(init=False)
    _shown: ShownOrders = field(init=False)
    _running: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._schedule = self.look_ups.new_schedule()
        self._shown = ShownOrders(
            orders=self.orders,
            recording=self.recording,
            fills=self.fills,
            telemetry=self.telemetry,
            venue_clock=self.venue_clock,
            lost=self.lost,
            taken_back=TakenBackOrders(telemetry=self.telemetry),
        )

    async def compare(self, *, silent_for: timedelta) -> int:
        """Run once; return the number of changes. Raises VenueUnreachableError and UnavailableError.

        Orders that are open only here and unchanged for `silent_for` are looked up.
        """
        async with self._running:
            changes, is_complete = await self._record_list()
            if is_complete:
                changes += await self._look_up_unlisted(silent_for)
            return changes

    async def compare_closed(self, *, since: datetime) -> tuple[int, bool]:
        """Compare the orders that are over and were submitted since then: the next pages of the venue's list.

        Return the number of changes, and whether the last page was among them. A bust that the stream did not send
        shows only in what the venue counts as filled. Raises VenueUnreachableError and UnavailableError; then the next
        run goes on at the page that failed.
        """
        changes = 0
        async with self._running:
            for _ in range(self.pages_max):
                try:
                    listed = await self.venue.closed_orders(since=since, page=self._closed_page)
                except (VenueBusyError, VenueNotConnectedError):
                    raise
                except VenueUnreachableError:
                    # The next run starts at the first page: perhaps it is this page that the venue does not take.
                    self._closed_page = None
                    raise
                changes += await self._shown.record(await self._shown.ours_of(listed.orders))
                self._closed_page = listed.next_page
                if listed.next_page is None:
                    return changes, True
        self.telemetry.info("closed_orders_not_read_to_the_end", pages=self.pages_max, next="continued by the next run")
        return changes, False

    async def _record_list(self) -> tuple[int, bool]:
        """Record the next pages of the list; return the number of changes, and whether the last page was among them."""
        changes = 0
        if self._page is None:
            self._listed.clear()
        for _ in range(self.pages_max):
            try:
                page = await self.venue.open_orders(page=self._page)
            except (VenueBusyError, VenueNotConnectedError):
                raise
            except VenueUnreachableError:
                # The next run starts at the first page: perhaps the venue does not accept this page.
                self._page = None
                raise
            changes += await self._record_page(page.orders)
            self._page = page.next_page
            if page.next_page is None:
                return changes, True
        self.telemetry.info("open_orders_not_read_to_the_end", pages=self.pages_max, next="continued by the next run")
        return changes, False

    async def _record_page(self, orders: Sequence[FoundOrder]) -> int:
        ours = [order for order in orders if not isinstance(order, ExternalOrder)]
        self.telemetry.count(Metric.ORDERS_EXTERNAL, len(orders) - len(ours))
        self._listed.update(order.venue_client_order_id for order in ours)
        found = await self._shown.ours_of(orders)
        self._listed.update(found)
        return await self._shown.record(found)

    async def _look_up_unlisted(self, silent_for: timedelta) -> int:
        # At most that number of the rows are listed or not due, so they cannot hide those that closed without a report.
        limit = len(self._listed) + len(self._schedule) + self.look_ups.per_run_max * LOOK_UPS_PER_PAGE
        rows = await self.orders.open_at_venue(silent_for=silent_for, limit=limit)
        unlisted = {
            (row.order.venue_client_order_id, row.order.version): row
            for row in rows
            if row.order.venue_client_order_id not in self._listed and row.order.status is not OrderStatus.IN_DOUBT
        }
        self._schedule.keep_only(unlisted)
        changes = await self._record_closed(unlisted)
        found, failure = await self._look_up(unlisted)
        changes += await self._shown.record(found)
        self.telemetry.count(Metric.RECONCILED_ORDERS, len(rows))
        if failure is not None:
            raise failure
        return changes

    async def _record_closed(self, unlisted: Mapping[Revision, LoadedOrder]) -> int:
        """Record the orders in the venue's list of closed orders; return the number of changes.

        The list is read only while that saves look-ups. Orders in it are not looked up before their pause has passed.
        """
        now = self.clock()
        due = {key[0]: key for key in unlisted if self._schedule.is_due(key, now=now)}
        pages_max = min(len(due) // LOOK_UPS_PER_PAGE, self.pages_max)
        since = min((unlisted[key].order.created_at for key in due.values()), default=now) - self.overlap
        page, changes = None, 0
        for _ in range(pages_max):
            try:
                closed = await self.venue.closed_orders(since=since, page=page)
            except (VenueBusyError, VenueUnauthorizedError):
                raise
            except VenueUnreachableError as error:
                self.telemetry.warning("closed_orders_not_read", error=str(error), next="they are looked up one by one")
                return changes
            ours = await self._shown.ours_of(closed.orders)
            shown = {name: orders for name, orders in ours.items() if name in due}
            for name in shown:
                self._schedule.put_off(due.pop(name), now=now)
            changes += await self._shown.record(shown)
            page = closed.next_page
            if page is None or not due:
                break
        return changes

    async def _look_up(
        self, orders: Mapping[Revision, LoadedOrder]
    ) -> tuple[OrdersByName, VenueUnreachableError | None]:
        """Look up orders within the bounds of one run; return those found, and an error that concerns all look-ups."""
        found: OrdersByName = {}
        for order in self.look_ups.run(self._schedule, orders, clock=self.clock):
            self._schedule.put_off(order, now=self.clock())
            try:
                shown = await look_up(self.venue, orders[order].order)
            except (VenueBusyError, VenueUnauthorizedError) as error:
                return found, error
            except VenueUnreachableError as error:
                self.telemetry.warning(
                    "order_look_up_failed",
                    venue_client_order_id=order[0],
                    error=str(error),
                    next="looked up again later",
                )
            else:
                found[order[0]] = [*shown]
                if not shown:
                    self.lost.note_missing(orders[order])
        return found, None
