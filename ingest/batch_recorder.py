"""Recording of the stream's batches. No report of a venue can stop it: one that cannot be recorded is stored raw."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.model.errors import TransientError
from domain.ports.clock_and_ids import Clock
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import ExternalReport, StreamItem, UnreadableReport, VenueReport
from domain.services.catch_up import CatchUp, RecordedReports
from domain.services.dead_letter_keeper import DeadLetterKeeper
from domain.services.pipeline import PipelineTicket
from domain.services.set_aside import record_or_set_aside
from ingest.unmatched_reports import UnmatchedReports

DEAD_LETTER_SOURCE = "stream"
UNKNOWN_ORDER = "a report about an order of ours that is not in the database"
UNRESOLVED_ORDER = "a report without a client order id, about an order that cannot be looked up at the venue"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecorder:
    """The recorder of batches; it retries each until it is recorded. Every method raises LeadershipLostError.

    Reports of orders of ours that are not stored are `unmatched`, reports whose order is not yet known to be ours are
    `unresolved`: neither delay the following reports.
    """

    catch_up: CatchUp
    dead_letters: DeadLetterKeeper
    unmatched: UnmatchedReports
    unresolved: UnmatchedReports
    telemetry: Telemetry
    clock: Clock
    retry: timedelta

    async def record(self, batch: Sequence[StreamItem], *, ticket: PipelineTicket) -> bool:
        """Record the batch when its ticket allows it; return whether a checksum shows that a fill was missed.

        While the database is unreachable it waits, and the following batches wait with it.
        """
        try:
            return await self._record_batch(batch, ticket)
        finally:
            ticket.end()

    async def _record_batch(self, batch: Sequence[StreamItem], ticket: PipelineTicket) -> bool:
        started = asyncio.get_running_loop().time()
        for item in batch:
            if isinstance(item, UnreadableReport):
                await self.dead_letters.keep(item, error=item.error)
        external = [item for item in batch if isinstance(item, ExternalReport)]
        self.catch_up.owners.note_external(
            item.venue_order_id for item in external if not item.is_unreadable_replacement
        )
        self.telemetry.count(Metric.REPORTS_EXTERNAL, len(external))
        reports = [item for item in batch if isinstance(item, VenueReport)]
        missed_fill = await self._record(reports, ticket) if reports else False
        self.telemetry.observe(Metric.RECORD_BATCH_SIZE, len(batch))
        self.telemetry.observe(Metric.RECORD_SECONDS, asyncio.get_running_loop().time() - started)
        if reports:
            self.telemetry.observe(Metric.VENUE_LAG_SECONDS, (self.clock() - reports[-1].at).total_seconds())
        return missed_fill

    async def record_unmatched(self) -> None:
        """Try the unmatched reports again; store those as dead letters that have waited long enough."""
        tried = self.unmatched.reports()
        if not tried:
            return
        try:
            results = await record_or_set_aside(
                tried, self.catch_up.record_reports, ticket=PipelineTicket(), dead_letters=self.dead_letters
            )
        except TransientError:
            return
        in_vain = [report for recorded in results for report in recorded.unmatched]
        await self._drop(self.unmatched.settle(tried, in_vain=in_vain, now=_now()))

    async def record_unresolved(self) -> None:
        """Look up the orders of the unresolved reports, and record those of ours; store those as dead letters that
        have waited long enough. The venue's answers may take long.
        """
        tried = self.unresolved.reports()
        if not tried:
            return
        try:
            owners = await self.catch_up.owners_of(tried)
        except TransientError:
            return
        ours = [report for report in tried if report.venue_order_id in owners.ours]
        external = [report for report in tried if report.venue_order_id in owners.external]
        if ours:
            await self._record(ours, PipelineTicket())
        resolved = {id(report) for report in (*ours, *external)}
        in_vain = [report for report in tried if id(report) not in resolved]
        expired = self.unresolved.settle(tried, in_vain=in_vain, now=_now())
        pending = [report for report in expired if owners.is_pending(report.venue_order_id)]
        self.telemetry.count(Metric.REPORTS_EXTERNAL, len(external) + len(expired) - len(pending))
        await self._drop_unresolved(pending)

    async def _record(self, reports: Sequence[VenueReport], ticket: PipelineTicket) -> bool:
        results = await record_or_set_aside(
            reports, self._record_until_answered, ticket=ticket, dead_letters=self.dead_letters
        )
        for recorded in results:
            await self._drop(self.unmatched.put(recorded.unmatched, now=_now()))
            await self._drop_unresolved(self.unresolved.put(recorded.unresolved, now=_now()))
        return any(recorded.missed_fill for recorded in results)

    async def _record_until_answered(self, reports: Sequence[VenueReport], ticket: PipelineTicket) -> RecordedReports:
        while True:
            try:
                return await self.catch_up.record_reports(reports, ticket=ticket)
            except TransientError as error:
                self.telemetry.warning("recording_failing", error=str(error), next="tried again until it succeeds")
                await asyncio.sleep(self.retry.total_seconds())

    async def _drop(self, reports: Iterable[VenueReport]) -> None:
        for report in reports:
            await self.dead_letters.keep(report, error=f"{UNKNOWN_ORDER}: {report.venue_client_order_id}")

    async def _drop_unresolved(self, reports: Iterable[VenueReport]) -> None:
        for report in reports:
            await self.dead_letters.keep(report, error=f"{UNRESOLVED_ORDER}: {report.venue_order_id}")


def _now() -> float:
    return asyncio.get_running_loop().time()
