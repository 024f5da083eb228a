"""What the stream missed: ask the venue, and record the answers through the same code as the stream's reports.

The stream has no sequence numbers and no replay, so after every connect (and whenever something looks missed) the
fills since the last position are read, and our open orders are compared with the venue's list. Everything repeats
harmlessly, so the questions may overlap with the stream and with each other.
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

EXTERNAL_ORDERS_REMEMBERED_MAX = 100_000
KNOWN_ORDERS_REMEMBERED_MAX = 100_000
REPORT_SHOWN_CHARACTERS = 1_000
REPORTS_AT_ONCE = 300
UNDER_WAY_MAX = 2
"""One batch is written and one decided: what a batch is expected to make is acted on by the next one alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUpPolicy:
    """How far back questions reach: `overlap` covers clocks that differ and reports under way, `first_look_back` is
    asked for when there is no position yet. `look_ups_max` bounds the single look-ups of one run."""

    overlap: timedelta
    first_look_back: timedelta
    look_ups_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Brings what is recorded here up to what the venue knows. `foreign` remembers orders that are not ours, so that
    the venue is asked for each of them once, and `known` which ones are ours by the venue's ids, which never change."""

    venue: Venue
    orders: OrderStore
    positions: StreamPositions
    recording: Recording
    telemetry: Telemetry
    clock: Clock
    policy: CatchUpPolicy
    foreign: dict[str, None] = field(default_factory=dict)
    known: dict[str, UUID] = field(default_factory=dict)

    async def catch_up(self, *, cause: str) -> int:
        """Record every fill since the last position and the end of every order that closed unheard.

        Gives how many changes that made. Raises VenueUnreachable or Unavailable; then the position stays, and the next
        run asks again. Raises LeadershipLostError when the recording's fence does not hold.
        """
        self.telemetry.count(Metric.CATCH_UPS, cause=cause)
        started_at = self.clock()
        position: datetime | None = await self.positions.read(self.venue.name)
        changes = await self.record_fills(since=position or started_at - self.policy.first_look_back)
        changes += await self.compare_open_orders(silent_for=timedelta(0))
        await self.positions.advance(self.venue.name, started_at - self.policy.overlap, fence=self.recording.fence)
        return changes

    async def has_open_orders(self) -> bool:
        """Whether the venue has an order of which more can be expected. Raises Unavailable."""
        return bool(await self.orders.open_at_venue(silent_for=timedelta(0), limit=1))

    async def record_fills(self, *, since: datetime) -> int:
        """Record all fills since that moment; gives how many changes that made.

        Some pages are recorded together. While they are written the next ones are decided, and more are asked for.
        """
        changes, under_way, turn, may_repeat = 0, deque[asyncio.Task[int]](), PipelineTicket(), True
        turn.end()
        try:
            async with aclosing(_one_ahead(self._some_pages(since))) as pages:
                async for told in pages:
                    # Where the question overlaps with the last one; from there on, recording finds what still repeats.
                    fills = await self._unrecorded(told) if may_repeat else told
                    may_repeat = len(fills) < len(told)
                    if len(under_way) == UNDER_WAY_MAX:
                        changes += await under_way.popleft()
                    turn = turn.behind()
                    under_way.append(asyncio.create_task(self._record_some(fills, turn)))
            while under_way:
                changes += await under_way.popleft()
        except TransientError:
            # What is just being written is also told.
            await asyncio.gather(*under_way, return_exceptions=True)
            raise
        finally:
            for recording in under_way:
                recording.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        return changes

    async def _unrecorded(self, fills: Sequence[VenueReport]) -> Sequence[VenueReport]:
        """Those of which not everything is stored already: the others would be read, applied, and change nothing."""
        names = [_fill_name(fill) for fill in fills]
        recorded = await self.orders.recorded_fills([name for name in names if name is not None])
        return [fill for fill, name in zip(fills, names, strict=True) if name is None or name not in recorded]

    async def _some_pages(self, since: datetime) -> AsyncGenerator[Sequence[VenueReport]]:
        some = list[VenueReport]()
        async with aclosing(self.venue.fills(since=since)) as pages:
            async for page in pages:
                some += page
                if len(some) >= REPORTS_AT_ONCE:
                    yield some
                    some = []
        yield some

    async def _record_some(self, reports: Sequence[VenueReport], turn: PipelineTicket) -> int:
        """Record fills; one that cannot be recorded is told and set aside, for every later answer holds it too."""
        try:
            recorded = await self.record_reports(reports, turn=turn)
        except (TransientError, LeadershipLostError):
            raise
        except Exception as error:  # noqa: BLE001 - one bad fill must not keep the others, and every start, from passing
            with suppress(VersionConflictError):
                await turn.comes()
            if len(reports) > 1:
                return sum([await self._record_some([report], PipelineTicket()) for report in reports])
            self._set_aside(reports[0], error)
            return 0
        finally:
            turn.end()
        self.telemetry.count(Metric.REPORTS_EXTERNAL, len(recorded.unknown))
        return len(recorded.changes)

    def _set_aside(self, report: VenueReport, error: Exception) -> None:
        self.telemetry.count(Metric.REPORTS_UNREADABLE)
        self.telemetry.error(
            "fill_set_aside",
            error=repr(error),
            venue_order_id=report.venue_order_id,
            report=repr(report.reports)[:REPORT_SHOWN_CHARACTERS],
            next="compare the order's executions with the venue's; all other fills were recorded",
        )

    async def record_reports(self, reports: Sequence[VenueReport], *, turn: PipelineTicket | None = None) -> Recorded:
        """Record reports of any order, in their order. Those of orders that were not placed here are counted."""
        # Nobody is asked about a report that says that it is foreign: while the venue does not answer, other people's
        # orders on the stream would hold up the fills of ours.
        names = {report.venue_order_id for report in reports if report.order_id is None and not report.is_external}
        ours = await self._ids_of(names) if names else {}
        by_order: defaultdict[UUID, list[Report]] = defaultdict(list)
        foreign = 0
        for report in reports:
            order_id = report.order_id or (None if report.is_external else ours.get(report.venue_order_id))
            if order_id is None:
                foreign += 1
            else:
                by_order[order_id].extend(report.reports)
        nothing = Recorded(changes=(), unknown=frozenset(), missed_fill=False)
        recorded = await self.recording.record(by_order, turn=turn) if by_order else nothing
        # Only now: a batch that has to be tried again is not counted again.
        self.telemetry.count(Metric.REPORTS_EXTERNAL, foreign)
        return recorded

    async def compare_open_orders(self, *, silent_for: timedelta) -> int:
        """Record the venue's open orders, then look up those that are open here, silent for that long, and not there.

        Gives how many changes that made. Raises VenueUnreachable and Unavailable.
        """
        listed = await self.venue.open_orders()
        changes = await self._record_orders(listed)
        open_there = {order.order_id for order in listed}
        # At most so many of the rows are open on both sides: orders that rest for long hide none that closed unheard.
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
        """Record what the venue shows of our orders, and ask for the fills where it has filled more than we know."""
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
            # No later fill would tell that the last one was missed: this comparison is what does.
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
        """Our ids for the venue's; a fill may come before the acknowledgement, so the venue is asked for the rest."""
        ours = {name: self.known[name] for name in venue_order_ids & self.known.keys()}
        if len(ours) < len(venue_order_ids):
            found = await self.orders.ids_by_venue_order_id(venue_order_ids - ours.keys())
            ours.update(found)
            if len(self.known) + len(found) <= KNOWN_ORDERS_REMEMBERED_MAX:
                self.known.update(found)
        for venue_order_id in sorted(venue_order_ids - ours.keys() - self.foreign.keys()):
            order = await self.venue.find_by_venue_order_id(venue_order_id)
            if order is None:
                continue  # Perhaps a fresh order of ours that the venue still hides: the next catch-up asks again.
            if order.order_id is not None:
                ours[venue_order_id] = order.order_id
            elif len(self.foreign) < EXTERNAL_ORDERS_REMEMBERED_MAX:
                self.foreign[venue_order_id] = None
        return ours


def _fill_name(report: VenueReport) -> FillName | None:
    """The name of the fill that is all that the report tells."""
    match report.reports:
        case (OrderFilled(venue_order_id=str() as venue_order_id, venue_execution_id=venue_execution_id),):
            return venue_order_id, venue_execution_id
    return None


async def _one_ahead(some_pages: AsyncGenerator[Sequence[VenueReport]]) -> AsyncGenerator[Sequence[VenueReport]]:
    """The same, of which the next is asked for while one is worked on: the venue's answers take as long as the work."""
    coming = asyncio.ensure_future(anext(some_pages, None))
    try:
        while (fills := await coming) is not None:
            coming = asyncio.ensure_future(anext(some_pages, None))
            yield fills
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await some_pages.aclose()
