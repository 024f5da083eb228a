"""Reconciliation with the venue: read what the stream missed, and record it through the same code as its reports.

The stream has no sequence numbers and no replay. So after every connect, and whenever something looks missed, the fills
since the last position are read, and our open orders are compared with the venue's list. Reports repeat harmlessly, so
the reads may overlap with the stream and with each other.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.model.errors import LeadershipLostError, TransientError, VersionConflictError
from domain.model.order import OrderStatus
from domain.model.reports import OrderFilled, Report
from domain.ports.clock_and_ids import Clock
from domain.ports.ingest_state import StreamPositions
from domain.ports.order_store import FillName, LoadedOrder, OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import Venue, VenueOrder, VenueReport
from domain.services.pipeline import PipelineTicket
from domain.services.recording import Recorded, Recording

EXTERNAL_ORDERS_CACHED_MAX = 100_000
KNOWN_ORDERS_CACHED_MAX = 100_000
REPORT_LOGGED_MAX_CHARACTERS = 1_000
FILLS_PER_BATCH = 300
BATCHES_UNDER_WAY_MAX = 2
"""One batch is written while one is decided: a batch's prediction is used by the next one alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUpPolicy:
    """How far back a catch-up reads: `overlap` covers clocks that differ and reports under way, `first_look_back` is
    used when there is no position yet. `look_ups_max` bounds the look-ups of single orders in one run."""

    overlap: timedelta
    first_look_back: timedelta
    look_ups_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The use case of reconciliation. `external_ids` caches the venue's ids of external orders, so that each is looked
    up once, and `known_order_ids` our order ids by the venue's, which never change."""

    venue: Venue
    orders: OrderStore
    positions: StreamPositions
    recording: Recording
    telemetry: Telemetry
    clock: Clock
    policy: CatchUpPolicy
    external_ids: dict[str, None] = field(default_factory=dict)
    known_order_ids: dict[str, UUID] = field(default_factory=dict)

    async def catch_up(self, *, cause: str) -> int:
        """Record every fill since the last position and the end of every order that closed without a report.

        Return the number of changes. Raises VenueUnreachableError or UnavailableError; then the position stays, and the
        next run reads again. Raises LeadershipLostError when the recording's fence does not hold.
        """
        self.telemetry.count(Metric.CATCH_UPS, cause=cause)
        started_at = self.clock()
        position: datetime | None = await self.positions.read(self.venue.name)
        changes = await self.record_fills(since=position or started_at - self.policy.first_look_back)
        changes += await self.compare_open_orders(silent_for=timedelta(0))
        await self.positions.advance(self.venue.name, started_at - self.policy.overlap, fence=self.recording.fence)
        return changes

    async def has_open_orders(self) -> bool:
        """Return whether an order is open at the venue. Raises UnavailableError."""
        return bool(await self.orders.open_at_venue(silent_for=timedelta(0), limit=1))

    async def record_fills(self, *, since: datetime) -> int:
        """Record all fills since that time; return the number of changes.

        Some pages are recorded as one batch. While it is written the next one is decided, and more pages are requested.
        """
        changes, under_way, ticket, may_repeat = 0, deque[asyncio.Task[int]](), PipelineTicket(), True
        ticket.end()
        try:
            async with aclosing(_prefetched(self._batches_of_fills(since))) as pages:
                async for reported in pages:
                    # Only while this read overlaps with the last one; after that, recording finds what still repeats.
                    fills = await self._unrecorded(reported) if may_repeat else reported
                    may_repeat = len(fills) < len(reported)
                    if len(under_way) == BATCHES_UNDER_WAY_MAX:
                        changes += await under_way.popleft()
                    ticket = ticket.next_ticket()
                    under_way.append(asyncio.create_task(self._record_batch(fills, ticket)))
            while under_way:
                changes += await under_way.popleft()
        except TransientError:
            # Let the batch that is being written finish and publish its changes.
            await asyncio.gather(*under_way, return_exceptions=True)
            raise
        finally:
            for recording in under_way:
                recording.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        return changes

    async def _unrecorded(self, fills: Sequence[VenueReport]) -> Sequence[VenueReport]:
        """Return the fills that are not recorded yet: the others would be read, applied, and change nothing."""
        names = [_fill_name(fill) for fill in fills]
        recorded = await self.orders.recorded_fills([name for name in names if name is not None])
        return [fill for fill, name in zip(fills, names, strict=True) if name is None or name not in recorded]

    async def _batches_of_fills(self, since: datetime) -> AsyncGenerator[Sequence[VenueReport]]:
        some = list[VenueReport]()
        async with aclosing(self.venue.fills(since=since)) as pages:
            async for page in pages:
                some += page
                if len(some) >= FILLS_PER_BATCH:
                    yield some
                    some = []
        yield some

    async def _record_batch(self, reports: Sequence[VenueReport], ticket: PipelineTicket) -> int:
        """Record fills; log and skip one that cannot be recorded, since every later answer contains it too."""
        try:
            recorded = await self.record_reports(reports, ticket=ticket)
        except (TransientError, LeadershipLostError):
            raise
        except Exception as error:  # noqa: BLE001 - one bad fill must not keep the others, and every start, from passing
            with suppress(VersionConflictError):
                await ticket.wait()
            if len(reports) > 1:
                return sum([await self._record_batch([report], PipelineTicket()) for report in reports])
            self._skip(reports[0], error)
            return 0
        finally:
            ticket.end()
        self.telemetry.count(Metric.REPORTS_EXTERNAL, len(recorded.unknown))
        return len(recorded.changes)

    def _skip(self, report: VenueReport, error: Exception) -> None:
        self.telemetry.count(Metric.REPORTS_UNREADABLE)
        self.telemetry.error(
            "fill_skipped",
            error=repr(error),
            venue_order_id=report.venue_order_id,
            report=repr(report.reports)[:REPORT_LOGGED_MAX_CHARACTERS],
            next="compare the order's executions with the venue's; all other fills were recorded",
        )

    async def record_reports(self, reports: Sequence[VenueReport], *, ticket: PipelineTicket | None = None) -> Recorded:
        """Record reports of any order, in their order. Those of external orders are only counted."""
        # No look-up for a report that is marked as external: while the venue does not answer, external orders on the
        # stream would delay the fills of ours.
        names = {report.venue_order_id for report in reports if report.order_id is None and not report.is_external}
        ours = await self._ids_of(names) if names else {}
        by_order: defaultdict[UUID, list[Report]] = defaultdict(list)
        external_count = 0
        for report in reports:
            order_id = report.order_id or (None if report.is_external else ours.get(report.venue_order_id))
            if order_id is None:
                external_count += 1
            else:
                by_order[order_id].extend(report.reports)
        nothing = Recorded(changes=(), unknown=frozenset(), missed_fill=False)
        recorded = await self.recording.record(by_order, ticket=ticket) if by_order else nothing
        # Counted only now, so that a batch that is tried again is not counted again.
        self.telemetry.count(Metric.REPORTS_EXTERNAL, external_count)
        return recorded

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
            changes += await self.record_fills(since=min(row.order.created_at for row in behind) - self.policy.overlap)
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

    async def _ids_of(self, venue_order_ids: set[str]) -> dict[str, UUID]:
        """Return our ids by the venue's. A fill may precede the acknowledgement, so the venue is asked for the rest."""
        ours = {name: self.known_order_ids[name] for name in venue_order_ids & self.known_order_ids.keys()}
        if len(ours) < len(venue_order_ids):
            found = await self.orders.ids_by_venue_order_id(venue_order_ids - ours.keys())
            ours.update(found)
            if len(self.known_order_ids) + len(found) <= KNOWN_ORDERS_CACHED_MAX:
                self.known_order_ids.update(found)
        for venue_order_id in sorted(venue_order_ids - ours.keys() - self.external_ids.keys()):
            order = await self.venue.find_by_venue_order_id(venue_order_id)
            if order is None:
                continue  # Perhaps a new order of ours that the venue does not show yet: the next catch-up asks again.
            if order.order_id is not None:
                ours[venue_order_id] = order.order_id
            elif len(self.external_ids) < EXTERNAL_ORDERS_CACHED_MAX:
                self.external_ids[venue_order_id] = None
        return ours


def _fill_name(report: VenueReport) -> FillName | None:
    """Return the fill's name if the report is exactly one fill; else None."""
    match report.reports:
        case (OrderFilled(venue_order_id=str() as venue_order_id, venue_execution_id=venue_execution_id),):
            return venue_order_id, venue_execution_id
    return None


async def _prefetched(batches: AsyncGenerator[Sequence[VenueReport]]) -> AsyncGenerator[Sequence[VenueReport]]:
    """Yield the same items, requesting the next while one is processed: both take about the same time."""
    following = asyncio.ensure_future(anext(batches, None))
    try:
        while (fills := await following) is not None:
            following = asyncio.ensure_future(anext(batches, None))
            yield fills
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await batches.aclose()
