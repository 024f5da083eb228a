"""Reconciliation with the venue: what the stream missed is read, and our open orders are compared with the venue's.

The stream has no sequence numbers and no replay. So after every connect, and whenever something looks missed, the fills
since the last position are recorded (`domain.services.catch_up`), and the end of every order that closed meanwhile
(`domain.services.open_orders`). Others use the account too: of an external order only the ids are read.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.ports.clock_and_ids import Clock
from domain.ports.ingest_state import StreamPositions
from domain.ports.order_store import OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import Venue
from domain.services.catch_up import CatchUp, FillsRead
from domain.services.open_orders import OpenOrders
from domain.services.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationPolicy:
    """How far back the fills are read: `overlap` covers clocks that differ and reports under way, `first_look_back` is
    used when there is no position yet."""

    overlap: timedelta
    first_look_back: timedelta


@dataclass(slots=True, kw_only=True)
class Reconciliation:
    """The use case of reconciliation. `_newest_at` is when the newest fill was executed, `_newest_read_at` since when
    no read has found a newer one."""

    venue: Venue
    orders: OrderStore
    positions: StreamPositions
    recording: Recording
    fills: CatchUp
    open_orders: OpenOrders
    telemetry: Telemetry
    clock: Clock
    policy: ReconciliationPolicy
    _newest_at: datetime | None = None
    _newest_read_at: datetime | None = None

    @property
    def newest_fill_at(self) -> datetime | None:
        """When the newest fill of the account that a catch-up has read was executed, by the venue's clock."""
        return self._newest_at

    async def catch_up(self, *, cause: str) -> int:
        """Record every fill since the last position and the end of every order that closed without a report.

        Return the number of changes. Raises VenueUnreachableError or UnavailableError; then the next run reads again
        what was not recorded. Raises LeadershipLostError when the recording's fence does not hold.
        """
        self.telemetry.count(Metric.CATCH_UPS, cause=cause)
        started_at = self.clock()
        position: datetime | None = await self.positions.read(self.venue.name)
        read = await self.fills.record_fills(since=position or started_at - self.policy.first_look_back)
        recorded_until = self._recorded_until(read, started_at=started_at)
        if read.failure is not None:
            await self.positions.advance(self.venue.name, recorded_until, fence=self.recording.fence)
            raise read.failure
        changes = read.changes + await self.compare_open_orders(silent_for=timedelta(0))
        await self.positions.advance(self.venue.name, recorded_until, fence=self.recording.fence)
        return changes

    def _recorded_until(self, read: FillsRead, *, started_at: datetime) -> datetime:
        """Return the position after a read. It follows the fills' own times: the venue's clock may be behind ours."""
        overlap = self.policy.overlap
        if read.newest_at is None:
            return read.since
        if read.newest_at != self._newest_at or self._newest_read_at is None:
            self._newest_at, self._newest_read_at = read.newest_at, started_at
        until = min(started_at, read.newest_at)
        if read.pending_since is not None:
            return min(until, read.pending_since) - overlap
        if read.failure is not None:
            # Without an overlap for what is old, or a list of which one read ends within the overlap would never end.
            return min(until, started_at - overlap)
        # No fill before the newest one is listed later than that.
        is_settled = started_at - self._newest_read_at >= overlap
        return until if is_settled else until - overlap

    async def has_open_orders(self) -> bool:
        """Return whether an order is open at the venue. Raises UnavailableError."""
        return bool(await self.orders.open_at_venue(silent_for=timedelta(0), limit=1))

    async def compare_open_orders(self, *, silent_for: timedelta) -> int:
        """Record the venue's open orders, then look up orders that are open here only and unchanged for `silent_for`.

        Return the number of changes. Raises VenueUnreachableError and UnavailableError.
        """
        return await self.open_orders.compare(silent_for=silent_for)
