"""Reconciliation with the venue: missed reports are read, and our open orders are compared with the venue's.

The stream has no sequence numbers and no replay. So after every connect, and whenever a report may be missing, the
fills since the last position are recorded (`domain.services.catch_up`), and the end of every order that closed
meanwhile (`domain.services.open_orders`). Of an external order on the account only the ids are read.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.ports.clock_and_ids import Clock
from domain.ports.ingest_state import Position, StreamPositions
from domain.ports.order_store import OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import Venue
from domain.services.catch_up import CatchUp
from domain.services.fill_repair import FillRepair
from domain.services.fills_read import FillsRead
from domain.services.open_orders import OpenOrders
from domain.services.recording import Recording

CONNECT = "connect"
"""The cause of the catch-up after a connect: what the stream would have sent before was not heard."""
UNHEARD = "unheard"
"""The cause of the catch-ups while no stream can be opened."""
OPEN_ORDERS_LOOKED_AT_MAX = 100
"""How many orders are read first to find one that is open; more only where all of these are over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationPolicy:
    """How far back the fills are read: `overlap` covers fills that are listed late, `first_look_back` is used when
    there is no position yet. Orders that are over are compared after a connect if they were submitted within
    `closed_look_back` before the last position while there was a stream."""

    overlap: timedelta
    first_look_back: timedelta
    closed_look_back: timedelta = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class Reconciliation:
    """The use case of reconciliation. `clock` is the venue's, as far as it is known: positions and the look-backs are
    compared with its fills and orders. `_newest_at` is when the newest fill was executed, `_newest_read_at` since when
    no read has found a newer one; `_closed_since` is from when on orders that are over are to be compared,
    `_comparing_since` when that comparison began, and `_compares_again` whether the stream connected during it."""

    venue: Venue
    orders: OrderStore
    positions: StreamPositions
    recording: Recording
    fills: CatchUp
    open_orders: OpenOrders
    repair: FillRepair
    telemetry: Telemetry
    clock: Clock
    policy: ReconciliationPolicy
    _newest_at: datetime | None = None
    _newest_read_at: datetime | None = None
    _closed_since: datetime | None = None
    _comparing_since: datetime | None = None
    _compares_again: bool = False

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
        elapsed = asyncio.get_running_loop().time
        began = elapsed()
        position = await self._position()
        if cause == CONNECT:
            await self._begin_closed_orders(position or self.clock() - self.policy.first_look_back)
        read = await self._read(position)
        # Only an answer has the venue's time.
        started_at = self.clock() - timedelta(seconds=elapsed() - began)
        recorded_until = self._recorded_until(read, started_at=started_at)
        if read.failure is not None:
            await self.positions.advance(self.venue.name, recorded_until, fence=self.recording.fence)
            raise read.failure
        changes = read.changes + await self.open_orders.compare(silent_for=timedelta(0))
        await self.positions.advance(self.venue.name, recorded_until, fence=self.recording.fence)
        return changes

    async def _begin_closed_orders(self, position: datetime) -> None:
        """Compare the orders that are over from the last comparison on; one under way is followed by another one."""
        if self._closed_since is not None:
            self._compares_again = True
            return
        compared_until = await self.positions.read(self.venue.name, Position.CLOSED_ORDERS)
        if compared_until is None:
            # From here on, by the next leader, too: until it has succeeded, the position of the fills moves on.
            compared_until, fence = position, self.recording.fence
            await self.positions.advance(self.venue.name, position, position=Position.CLOSED_ORDERS, fence=fence)
        self._closed_since = min(position, compared_until) - self.policy.closed_look_back

    async def _position(self) -> datetime | None:
        """Return the last position; one in the venue's future was stored by a wrong clock, and is useless."""
        position: datetime | None = await self.positions.read(self.venue.name)
        return None if position is None else min(position, self.clock())

    async def _read(self, position: datetime | None) -> FillsRead:
        """Record the fills since the position; without one, since the policy's start time."""
        if position is not None:
            return await self.fills.record_fills(since=position)
        read = await self.fills.record_fills(since=self.clock() - self.policy.first_look_back)
        since = self.clock() - self.policy.first_look_back
        if read.failure is not None or since >= read.since:
            return read
        # The first answer has shown that the venue's clock is behind ours.
        again = await self.fills.record_fills(since=since)
        again.changes += read.changes
        return again

    def _recorded_until(self, read: FillsRead, *, started_at: datetime) -> datetime:
        """Return the position after a read. `started_at` is the venue's time when it began."""
        overlap = self.policy.overlap
        if read.newest_at is None:
            return read.since
        if read.newest_at != self._newest_at or self._newest_read_at is None:
            self._newest_at, self._newest_read_at = read.newest_at, started_at
        # A fill may be dated before all that is asked for, at the beginning of time even.
        until = min(started_at, max(read.newest_at, read.since))
        if read.pending_since is not None:
            return min(until, max(read.pending_since, read.since)) - overlap
        if read.failure is not None:
            # Without an overlap for old fills, or a list whose read ends within the overlap would never end.
            return min(until, started_at - overlap)
        # No fill before the newest one is listed later than that.
        is_settled = started_at - self._newest_read_at >= overlap
        return until if is_settled else until - overlap

    async def has_open_orders(self) -> bool:
        """Return whether an order is open at the venue. Raises UnavailableError."""
        limit = OPEN_ORDERS_LOOKED_AT_MAX
        while True:
            rows = await self.orders.open_at_venue(silent_for=timedelta(0), limit=limit)
            # An order that is over and of which the venue counts another quantity is compared as well: it is silent.
            if any(not row.order.status.is_final for row in rows):
                return True
            if len(rows) < limit:
                return False
            limit *= 10

    async def compare_open_orders(self, *, silent_for: timedelta) -> int:
        """Record the venue's open orders, then look up orders that are open only here and unchanged for `silent_for`.

        Orders that do not add up are repaired. Return the number of changes. Raises VenueUnreachableError and
        UnavailableError.
        """
        return await self.open_orders.compare(silent_for=silent_for) + await self.repair.run()

    async def compare_closed_orders(self) -> int:
        """Compare the orders that are over since a connect, the next pages of them; return the number of changes.

        Those that do not add up are left to the repair. It is not part of the catch-up, for which live reports wait.
        Until it has succeeded they remain to be compared, by another leader, too. Raises VenueUnreachableError and
        UnavailableError.
        """
        if self._closed_since is None:
            return 0
        self._comparing_since = self._comparing_since or self.clock()
        changes, is_complete = await self.open_orders.compare_closed(since=self._closed_since)
        if is_complete:
            compared_until, fence = self._comparing_since, self.recording.fence
            await self.positions.advance(self.venue.name, compared_until, position=Position.CLOSED_ORDERS, fence=fence)
            self._closed_since = compared_until - self.policy.closed_look_back if self._compares_again else None
            self._comparing_since, self._compares_again = None, False
        return changes
