"""Recording of the stream's batches. Nothing a venue sends can stop it: what cannot be recorded is stored raw."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from domain.model.errors import LeadershipLostError, TransientError, VersionConflictError
from domain.ports.clock_and_ids import Clock
from domain.ports.ingest_state import DeadLetters
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import UnreadableReport, VenueReport
from domain.services.catch_up import CatchUp
from domain.services.pipeline import PipelineTicket
from ingest.unmatched_reports import UnmatchedReports, is_ours

DEAD_LETTER_SOURCE = "stream"
UNKNOWN_ORDER = "a report about an order of ours that is not in the database"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecorder:
    """The recorder of batches; it retries each until it is recorded. Every method raises LeadershipLostError."""

    catch_up: CatchUp
    dead_letters: DeadLetters
    unmatched: UnmatchedReports
    telemetry: Telemetry
    clock: Clock
    retry: timedelta

    async def record(self, batch: Sequence[VenueReport | UnreadableReport], *, ticket: PipelineTicket) -> bool:
        """Record the batch when its ticket allows it; return whether a checksum shows that a fill was missed.

        While the database is away it waits, and the following batches wait with it.
        """
        try:
            return await self._record_batch(batch, ticket)
        finally:
            ticket.end()

    async def _record_batch(self, batch: Sequence[VenueReport | UnreadableReport], ticket: PipelineTicket) -> bool:
        started = asyncio.get_running_loop().time()
        for item in batch:
            if isinstance(item, UnreadableReport):
                await self._store_dead_letter(item.error, item.raw)
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
            recorded = await self.catch_up.record_reports(tried)
        except TransientError:
            return
        now = asyncio.get_running_loop().time()
        await self._drop(self.unmatched.settle(tried, unknown=recorded.unknown, now=now))

    async def _record(self, reports: Sequence[VenueReport], ticket: PipelineTicket) -> bool:
        failing = False
        while True:
            try:
                recorded = await self.catch_up.record_reports(reports, ticket=ticket)
            except TransientError as error:
                if not failing:
                    self.telemetry.warning("recording_failing", error=str(error), next="tried again until it succeeds")
                failing = True
                await asyncio.sleep(self.retry.total_seconds())
            except LeadershipLostError:
                raise
            except Exception as error:  # noqa: BLE001 - one report that cannot be applied must not stop all others
                return await self._record_one_by_one(reports, error, ticket)
            else:
                now = asyncio.get_running_loop().time()
                external = [order_id for order_id in recorded.unknown if not is_ours(order_id)]
                self.telemetry.count(Metric.REPORTS_EXTERNAL, len(external))
                await self._drop(self.unmatched.put(reports, recorded.unknown, now=now))
                return recorded.missed_fill

    async def _record_one_by_one(
        self, reports: Sequence[VenueReport], error: Exception, ticket: PipelineTicket
    ) -> bool:
        with suppress(VersionConflictError):
            await ticket.wait()
        if len(reports) == 1:
            await self._store_dead_letter(repr(error), _raw(reports[0]))
            return False
        outcomes = [await self._record([report], PipelineTicket()) for report in reports]
        return any(outcomes)

    async def _drop(self, reports: Iterable[VenueReport]) -> None:
        for report in reports:
            await self._store_dead_letter(f"{UNKNOWN_ORDER}: {report.order_id}", _raw(report))

    async def _store_dead_letter(self, error: str, raw: bytes) -> None:
        self.telemetry.count(Metric.REPORTS_UNREADABLE)
        self.telemetry.error("dead_letter", error=error, next="stored raw in dead_letters; the rest goes on")
        try:
            await self.dead_letters.add(source=DEAD_LETTER_SOURCE, error=error, raw=raw)
        except TransientError as failure:
            self.telemetry.error("dead_letter_lost", error=str(failure), raw=raw[:1000].decode(errors="replace"))


def _raw(report: VenueReport) -> bytes:
    return report.raw or repr(report).encode()
