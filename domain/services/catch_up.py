"""Catch-up of reports: read the venue's fills since a time, and record them through the same code as the stream's.

It also finds out which reports are about external orders. Reports repeat harmlessly, so a catch-up may overlap with the
stream and with another catch-up.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.model.errors import LeadershipLostError, TransientError, VersionConflictError
from domain.model.reports import OrderFilled, Report
from domain.ports.order_store import FillName, OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import Venue, VenueReport
from domain.services.pipeline import PipelineTicket
from domain.services.recording import Recorded, Recording

EXTERNAL_ORDERS_CACHED_MAX = 100_000
KNOWN_ORDERS_CACHED_MAX = 100_000
REPORT_LOGGED_MAX_CHARACTERS = 1_000
FILLS_PER_BATCH = 300
BATCHES_UNDER_WAY_MAX = 2
"""One batch is written while one is decided: a batch's prediction is used by the next one alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """The use case of recording the venue's reports, of any order, streamed or read.

    `external_ids` caches the venue's ids of external orders, so that each is looked up once, and `known_order_ids` our
    order ids by the venue's, which never change.
    """

    venue: Venue
    orders: OrderStore
    recording: Recording
    telemetry: Telemetry
    external_ids: dict[str, None] = field(default_factory=dict)
    known_order_ids: dict[str, UUID] = field(default_factory=dict)

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
