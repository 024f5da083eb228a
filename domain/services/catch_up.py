"""Catch-up of reports: read the venue's fills since a time, and record them through the same code as the stream's.

Reports repeat harmlessly, so a catch-up may overlap with the stream and with another catch-up. A fill that cannot be
read or recorded, or whose order cannot be looked up, does not stop others.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.model.changes import RecordedChange
from domain.model.errors import TransientError, VenueUnreachableError
from domain.model.frozen import frozen
from domain.model.reports import OrderFilled, Report
from domain.ports.clock_and_ids import Clock
from domain.ports.order_store import OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import ListedFill, UnreadableFill, Venue, VenueReport
from domain.services.dead_letter_keeper import DeadLetterKeeper
from domain.services.fills_read import FillsRead, fill_name, prefetched
from domain.services.order_owners import OrderOwners, Owners
from domain.services.pipeline import PipelineTicket
from domain.services.recording import Recording
from domain.services.set_aside import record_or_set_aside
from domain.services.suspects import Suspects

FILLS_PER_BATCH = 300
BATCHES_UNDER_WAY_MAX = 2
"""One batch is written while one is decided: a batch's prediction is used by the next one alone."""
UNKNOWN_ORDERS_CACHED_MAX = 10_000


@frozen
class RecordedReports:
    """The result of a batch: the committed changes, the reports of orders of ours that are not stored, and whether a
    fill was missed.

    `unresolved` are the reports whose order is not known yet: they are not recorded.
    """

    changes: Sequence[RecordedChange] = ()
    unmatched: Sequence[VenueReport] = ()
    missed_fill: bool = False
    unresolved: Sequence[VenueReport] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """The use case of recording the venue's reports, of any order, streamed or read.

    A read fill whose order stays unknown for `pending_max` is a dead letter. Orders whose executions do not add up are
    added to the `suspects`. `unknown_ids` are our orders that are not stored here, so that each is logged once.
    """

    venue: Venue
    orders: OrderStore
    recording: Recording
    owners: OrderOwners
    dead_letters: DeadLetterKeeper
    telemetry: Telemetry
    clock: Clock
    pending_max: timedelta
    suspects: Suspects = field(default_factory=Suspects)
    unknown_ids: dict[str, None] = field(default_factory=dict)

    async def record_reports(
        self, reports: Sequence[VenueReport], ticket: PipelineTicket | None = None
    ) -> RecordedReports:
        """Record reports of any order, in their order, without a request to the venue.

        Those of external orders are only counted. Raises the errors of `Recording.record`.
        """
        unnamed = [report for report in reports if report.venue_client_order_id is None]
        for report in unnamed:
            self.owners.note_replaced(report.reports)
        ours = await self.owners.linked({report.venue_order_id for report in unnamed}) if unnamed else {}
        by_order: defaultdict[str, list[Report]] = defaultdict(list)
        unresolved: list[VenueReport] = []
        external_count = 0
        for report in reports:
            name = report.venue_client_order_id or ours.get(report.venue_order_id)
            if name is not None:
                if report.venue_client_order_id is None:
                    # Also for a known one: they identify the order of the fill.
                    by_order[name].extend(self.owners.links_to(report.venue_order_id))
                by_order[name].extend(report.reports)
            elif self.owners.is_external(report.venue_order_id):
                external_count += 1
            else:
                unresolved.append(report)
        recorded = await self.recording.record(by_order, ticket=ticket) if by_order else None
        # Counted only now, so that a batch that is tried again is not counted again.
        self.telemetry.count(Metric.REPORTS_EXTERNAL, external_count)
        if recorded is None:
            return RecordedReports(unresolved=unresolved)
        self.note_unknown(recorded.unknown)
        self.suspects.add(recorded.suspects)
        if recorded.contradicted:
            await self._keep_contradictions(reports, recorded.contradicted)
        return RecordedReports(
            changes=recorded.changes,
            unmatched=[report for report in reports if report.venue_client_order_id in recorded.unknown],
            missed_fill=recorded.missed_fill,
            unresolved=unresolved,
        )

    async def _keep_contradictions(self, reports: Sequence[VenueReport], ids: frozenset[str]) -> None:
        for report in reports:
            if any(isinstance(one, OrderFilled) and one.venue_execution_id in ids for one in report.reports):
                await self.dead_letters.keep(report, error="an execution id that is known with other content")

    def note_unknown(self, venue_client_order_ids: Iterable[str]) -> None:
        """Log each order of ours that the venue has and the database has not: once, not for every report about it."""
        for name in venue_client_order_ids:
            if name in self.unknown_ids:
                continue
            if len(self.unknown_ids) >= UNKNOWN_ORDERS_CACHED_MAX:
                self.unknown_ids.clear()
            self.unknown_ids[name] = None
            self.telemetry.error(
                "venue_order_unknown",
                venue_client_order_id=name,
                next="adopted when the client repeats placeOrder; its reports wait meanwhile",
            )

    async def owners_of(self, reports: Iterable[VenueReport]) -> Owners:
        """Look up the orders of the reports at the venue. Raises UnavailableError."""
        return await self.owners.resolve(report.venue_order_id for report in reports)

    async def record_listed(self, fills: Sequence[ListedFill]) -> int:
        """Record listed fills of orders that are known; return the number of changes.

        Raises UnavailableError and LeadershipLostError.
        """
        read = FillsRead(since=self.clock())
        for fill in fills:
            if isinstance(fill, UnreadableFill):
                await self.dead_letters.keep(fill, error=fill.error)
        await self._record_batch([fill for fill in fills if isinstance(fill, VenueReport)], PipelineTicket(), read)
        return read.changes

    async def record_fills(self, *, since: datetime) -> FillsRead:
        """Record all fills since that time: first those of known orders, then those whose orders must be looked up.

        A venue that stops answering ends the read (see FillsRead). Raises UnavailableError and LeadershipLostError.
        """
        read = FillsRead(since=since)
        try:
            await self._record_known(since, read)
        except VenueUnreachableError as error:
            read.failure = error
        if read.deferred:
            await self._record_deferred(read)
        return read

    async def _record_known(self, since: datetime, read: FillsRead) -> None:
        """Record some pages as one batch. While it is written the next is decided, and more pages are read."""
        under_way, ticket, may_repeat = deque[asyncio.Task[None]](), PipelineTicket(), True
        ticket.end()
        try:
            async with aclosing(prefetched(self._batches(since))) as pages:
                async for listed in pages:
                    read.defer([fill for fill in listed if isinstance(fill, UnreadableFill)])
                    reported = [fill for fill in listed if isinstance(fill, VenueReport)]
                    read.note_newest(reported)
                    # Only while this read overlaps with the last one; after that, recording finds what still repeats.
                    fills = await self._unrecorded(reported) if may_repeat else reported
                    may_repeat = len(fills) < len(reported)
                    if len(under_way) == BATCHES_UNDER_WAY_MAX:
                        await under_way.popleft()
                    ticket = ticket.next_ticket()
                    under_way.append(asyncio.create_task(self._record_batch(fills, ticket, read)))
            while under_way:
                await under_way.popleft()
        except TransientError as error:
            # Let the running write finish and publish its changes.
            results = await asyncio.gather(*under_way, return_exceptions=True)
            failures = [result for result in results if isinstance(result, BaseException)]
            # What was listed before the venue stopped answering counts as recorded: one that failed is not.
            if failures and isinstance(error, VenueUnreachableError):
                raise failures[0] from error
            raise
        finally:
            for recording in under_way:
                recording.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _unrecorded(self, fills: Sequence[VenueReport]) -> Sequence[VenueReport]:
        """Return the fills that are not recorded yet: the others would be read and applied without effect."""
        names = [fill_name(fill) for fill in fills]
        recorded = await self.orders.recorded_fills([name for name in names if name is not None])
        return [fill for fill, name in zip(fills, names, strict=True) if name is None or name not in recorded]

    async def _batches(self, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:
        some = list[ListedFill]()
        async with aclosing(self.venue.fills(since=since)) as pages:
            try:
                async for page in pages:
                    some += page
                    if len(some) >= FILLS_PER_BATCH:
                        yield some
                        some = []
            except VenueUnreachableError:
                yield some
                raise
        yield some

    async def _record_batch(self, fills: Sequence[VenueReport], ticket: PipelineTicket, read: FillsRead) -> None:
        """Record fills; one that cannot be recorded is a dead letter, since every later answer contains it too."""
        try:
            results = await record_or_set_aside(
                fills, self.record_reports, ticket=ticket, dead_letters=self.dead_letters
            )
        finally:
            ticket.end()
        for recorded in results:
            read.changes += len(recorded.changes)
            read.defer(recorded.unresolved)

    async def _record_deferred(self, read: FillsRead) -> None:
        deferred, read.deferred = read.deferred, []
        owners = await self.owners.resolve(fill.venue_order_id for fill in deferred if fill.venue_order_id is not None)
        ours = [fill for fill in deferred if isinstance(fill, VenueReport) and fill.venue_order_id in owners.ours]
        for first in range(0, len(ours), FILLS_PER_BATCH):
            await self._record_batch(ours[first : first + FILLS_PER_BATCH], PipelineTicket(), read)
        for fill in deferred:
            await self._settle(fill, owners, read)

    async def _settle(self, fill: ListedFill, owners: Owners, read: FillsRead) -> None:
        """Finish a fill that is not to be recorded: count it, keep it raw, or have it read again."""
        name = fill.venue_order_id
        if isinstance(fill, UnreadableFill) and (name is None or name in owners.ours):
            await self.dead_letters.keep(fill, error=fill.error)
        elif name is None or name in owners.ours:
            return
        elif not owners.is_pending(name):
            self.telemetry.count(Metric.REPORTS_EXTERNAL)
        elif self._is_given_up(name):
            await self.dead_letters.keep(fill, error="a fill of an order that cannot be looked up at the venue")
        else:
            read.keep_pending(fill)

    def _is_given_up(self, name: str) -> bool:
        since = self.owners.pending_since(name)
        return since is not None and self.clock() - since > self.pending_max
