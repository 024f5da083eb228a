"""What the venue shows of our orders, recorded: which are ours, whether they are the same, and what they add up to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.model.facts import Facts, VenueCount
from domain.model.order import disagrees
from domain.model.reports import FilledQuantityCounted, OrderRestated, Report
from domain.model.restatement import Restatement
from domain.model.values import EXACT
from domain.model.venue_chain import filled_at
from domain.ports.clock_and_ids import Clock
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.ports.telemetry import Telemetry
from domain.ports.venue import ExternalOrder, FoundOrder, VenueOrder
from domain.services.catch_up import CatchUp
from domain.services.lost_orders import LostOrders
from domain.services.recording import Recording
from domain.services.taken_back_orders import TakenBackOrders
from domain.services.venue_answers import reports_of_open

OrdersByName = dict[str, list[VenueOrder]]
"""What the venue shows of our orders, by our names for them: mostly one venue order each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownOrders:
    """The recorder of orders as the venue's lists and look-ups show them; `venue_clock` is the venue's clock."""

    orders: OrderStore
    recording: Recording
    fills: CatchUp
    telemetry: Telemetry
    venue_clock: Clock
    lost: LostOrders
    taken_back: TakenBackOrders

    async def ours_of(self, orders: Iterable[FoundOrder]) -> OrdersByName:
        """Return those of our orders, by our names for them: also those that replaced one of ours."""
        ours: OrdersByName = {}
        replacing: list[VenueOrder] = []
        for order in orders:
            if isinstance(order, VenueOrder):
                ours.setdefault(order.venue_client_order_id, []).append(order)
            elif isinstance(order, ExternalOrder) and order.replacement is not None:
                replacing.append(order.replacement)
                self.fills.owners.note_replaced(order.replacement.reports)
        linked = await self.fills.owners.linked([one.venue_order_id for one in replacing]) if replacing else {}
        for one in replacing:
            if one.venue_order_id in linked:
                ours.setdefault(linked[one.venue_order_id], []).append(one)
        return ours

    async def record(self, orders: OrdersByName) -> int:
        """Record what the venue shows of our orders; suspect those of which it counts another quantity as filled."""
        ours = {name: shown for name, shown in orders.items() if shown}
        self.lost.note_shown(ours)
        rows = await self.orders.load_reported(ours.keys(), []) if ours else {}
        self.fills.note_unknown(ours.keys() - rows.keys())
        same = {name: ours[name] for name, row in rows.items() if all(self._is_same(row, one) for one in ours[name])}
        if not same:
            return 0
        now = self.recording.clock()
        recorded = await self.recording.record(
            {name: self._reports_on(rows[name], shown, now=now) for name, shown in same.items()}
        )
        rows = await self.orders.load_reported(same.keys(), [])
        for name, row in rows.items():
            self.taken_back.note_shown(row, same[name])
        # A missed last fill, and a missed bust, show only here: no later fill reveals them.
        differing = {name: row for name, row in rows.items() if _counts_otherwise(row.order.facts, same[name])}
        self.fills.suspects.add_counted(
            {name: _counted(row.order.facts, same[name]) for name, row in differing.items()}
        )
        return len(recorded.changes) + await self._record_counts(rows, same)

    async def _record_counts(self, rows: Mapping[str, LoadedOrder], shown: OrdersByName) -> int:
        """Record what the venue counts of orders that are over, where it is not what is recorded; return the changes.

        An order that is over is compared again only if that is known: what is suspected is forgotten by a process that
        dies.
        """
        now = self.venue_clock()
        counts: dict[str, list[Report]] = {}
        for name, row in rows.items():
            differs = _counts_otherwise(row.order.facts, shown[name]) or disagrees(row.order.whole)
            if row.order.status.is_final and differs:
                counts[name] = [_count_of(one, at=now) for one in shown[name] if not one.is_open]
        known = {name: reports for name, reports in counts.items() if reports}
        return len((await self.recording.record(known)).changes) if known else 0

    def _reports_on(self, row: LoadedOrder, shown: Sequence[VenueOrder], *, now: datetime) -> Sequence[Report]:
        """Return what the venue shows of our order. An operator's end holds until it shows the order open."""
        reports: list[Report] = []
        for found in shown:
            reports += self.fills.owners.links_to(found.venue_order_id)
            reports += found.reports if row.order.facts.operator_end is None else reports_of_open(found, at=now)
            reports += _restatement(row, found)
        return reports

    def _is_same(self, row: LoadedOrder, found: VenueOrder) -> bool:
        # The venue may change the terms of an order that is linked: a split, a new symbol.
        if row.order.facts.venue_order_id == found.venue_order_id or found.replaces is not None:
            return True
        if found.terms is not None and row.order.current_terms.is_at_venue_as(found.terms):
            return True
        self.telemetry.error(
            "venue_order_mismatch",
            order_id=str(row.order.id),
            venue_client_order_id=row.order.venue_client_order_id,
            venue_order_id=found.venue_order_id,
            next="not adopted; compare both orders and decide by hand",
        )
        return False


def _counts_otherwise(facts: Facts, found: Sequence[VenueOrder]) -> bool:
    return any(filled_at(facts, one.venue_order_id) != one.filled_quantity for one in found)


def _count_of(found: VenueOrder, *, at: datetime) -> FilledQuantityCounted:
    count = VenueCount(at=at, quantity=found.filled_quantity)
    return FilledQuantityCounted(venue_order_id=found.venue_order_id, count=count)


def _counted(facts: Facts, found: Sequence[VenueOrder]) -> Decimal:
    """Return what the venue counts as filled of the order: of its venue orders that are not shown, what is recorded."""
    counted = facts.filled_quantity
    for one in found:
        difference = EXACT.subtract(one.filled_quantity, filled_at(facts, one.venue_order_id))
        counted = EXACT.add(counted, difference)
    return counted


def _restatement(row: LoadedOrder, found: VenueOrder) -> Sequence[OrderRestated]:
    """Return the report that the venue has changed the terms, if it shows others than are recorded.

    Only of an order that is linked: of any other it is the terms that say whether it is ours.
    """
    # Those of the first venue order: what replaced it states its own.
    restated, theirs = row.order.facts.restatement, found.terms
    ours = row.order.terms if restated is None else restated.applied_to(row.order.terms)
    if theirs is None or row.order.facts.venue_order_id != found.venue_order_id:
        return ()
    is_price_same = theirs.limit_price in (None, ours.limit_price)
    if (theirs.quantity, theirs.symbol) == (ours.quantity, ours.symbol) and is_price_same:
        return ()
    restatement = Restatement(
        at=found.updated_at or found.submitted_at,
        quantity=theirs.quantity,
        symbol=theirs.symbol,
        limit_price=theirs.limit_price,
    )
    return (OrderRestated(venue_order_id=found.venue_order_id, restatement=restatement),)
