"""Reconciliation with the venue: what the stream missed is read, and our open orders are compared with the venue's.

The stream has no sequence numbers and no replay. So after every connect, and whenever something looks missed, the fills
since the last position are recorded (`domain.services.catch_up`), and the end of every order that closed meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.model.order import OrderStatus
from domain.ports.clock_and_ids import Clock
from domain.ports.ingest_state import StreamPositions
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import Venue, VenueOrder
from domain.services.catch_up import CatchUp
from domain.services.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationPolicy:
    """How far back the fills are read: `overlap` covers clocks that differ and reports under way, `first_look_back` is
    used when there is no position yet. `look_ups_max` bounds the look-ups of single orders in one run."""

    overlap: timedelta
    first_look_back: timedelta
    look_ups_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The use case of reconciliation."""

    venue: Venue
    orders: OrderStore
    positions: StreamPositions
    recording: Recording
    fills: CatchUp
    telemetry: Telemetry
    clock: Clock
    policy: ReconciliationPolicy

    async def catch_up(self, *, cause: str) -> int:
        """Record every fill since the last position and the end of every order that closed without a report.

        Return the number of changes. Raises VenueUnreachableError or UnavailableError; then the position stays, and the
        next run reads again. Raises LeadershipLostError when the recording's fence does not hold.
        """
        self.telemetry.count(Metric.CATCH_UPS, cause=cause)
        started_at = self.clock()
        position: datetime | None = await self.positions.read(self.venue.name)
        changes = await self.fills.record_fills(since=position or started_at - self.policy.first_look_back)
        changes += await self.compare_open_orders(silent_for=timedelta(0))
        await self.positions.advance(self.venue.name, started_at - self.policy.overlap, fence=self.recording.fence)
        return changes

    async def has_open_orders(self) -> bool:
        """Return whether an order is open at the venue. Raises UnavailableError."""
        return bool(await self.orders.open_at_venue(silent_for=timedelta(0), limit=1))

    async def compare_open_orders(self, *, silent_for: timedelta) -> int:
        """Record the venue's open orders, then look up orders that are open here only and unchanged for `silent_for`.

        Return the number of changes. Raises VenueUnreachableError and UnavailableError.
        """
        listed = await self.venue.open_orders()
        changes = await self._record_orders(listed)
        open_there = {order.order_id for order in listed}
        # At most len(open_there) of the rows are open on both sides, so resting orders cannot hide the closed ones.
        limit = len(open_there) + self.policy.look_ups_max
        rows = await self.orders.open_at_venue(silent_for=silent_for, limit=limit)
        closed = [
            row for row in rows if row.order.id not in open_there and row.order.status is not OrderStatus.IN_DOUBT
        ]
        for row in closed[: self.policy.look_ups_max]:
            found = await self.venue.find(row.order.id)
            if found is not None:
                changes += await self._record_orders([found])
        self.telemetry.count(Metric.RECONCILED_ORDERS, len(rows))
        return changes

    async def _record_orders(self, orders: Iterable[VenueOrder]) -> int:
        """Record what the venue shows of our orders, and read the fills if it has filled more than is recorded."""
        ours = {order.order_id: order for order in orders if order.order_id is not None}
        rows = await self.orders.load(ours.keys(), []) if ours else {}
        same = {order_id: ours[order_id] for order_id, row in rows.items() if self._is_same(row, ours[order_id])}
        if not same:
            return 0
        recorded = await self.recording.record({order_id: order.reports for order_id, order in same.items()})
        changes = len(recorded.changes)
        rows = await self.orders.load(same.keys(), [])
        behind = [
            row for order_id, row in rows.items() if row.order.facts.filled_quantity < same[order_id].filled_quantity
        ]
        if behind:
            # A missed last fill shows only here: no later fill reveals it.
            changes += await self.fills.record_fills(
                since=min(row.order.created_at for row in behind) - self.policy.overlap
            )
        return changes

    def _is_same(self, row: LoadedOrder, found: VenueOrder) -> bool:
        if row.order.terms.is_at_venue_as(found.terms):
            return True
        self.telemetry.error(
            "venue_order_mismatch",
            order_id=str(row.order.id),
            venue_order_id=found.venue_order_id,
            next="not adopted; compare both orders and decide by hand",
        )
        return False
