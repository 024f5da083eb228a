"""The consumer of the venue's stream: connect, catch up on missed reports, record new ones.

One task reads the socket into the buffer, one records batches from it, one makes a catch-up whenever a report may have
been missed, one ends a silent session. After the end of a session the next is opened after a growing pause; while none
can be opened, catch-ups replace the stream.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from domain.model.errors import FillwireError, TransientError
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import StreamItem, VenueStream
from domain.services.pipeline import PipelineTicket
from domain.services.reconciliation import CONNECT, UNHEARD, Reconciliation
from domain.services.task_cancellation import run_cancellable
from ingest.batch_recorder import BatchRecorder
from ingest.buffer import Buffer, BufferFullError
from ingest.catch_up_runner import CatchUpRunner
from ingest.silence_detector import LastReport, SilenceDetector

CONNECT_CATCH_UP_WAIT = timedelta(seconds=5)
"""How long the stream is buffered for the catch-up after a connect. Under a rate limit it can take minutes on an
account whose external fills are many: then reports are recorded meanwhile, which the order of reports allows."""


class SessionEndedError(FillwireError):
    """The stream's connection is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerPolicy:
    """Bounds of following the stream. `batch_within` is how long reports are collected while a batch is recorded before
    they are decided as the next batch; a session shorter than `session_min` does not reset the pause before the next.

    `catch_up_disconnected` is the interval of catch-ups while no session can be opened, `silence` how long a session
    may send nothing while orders are open, and `unmatched_retry` the interval at which unmatched reports are retried.
    """

    buffer_items_max: int
    batch_items_max: int
    batch_within: timedelta
    reconnect_first: timedelta
    reconnect_max: timedelta
    session_min: timedelta
    catch_up_every: timedelta
    catch_up_pause: timedelta
    catch_up_disconnected: timedelta
    silence: timedelta
    unmatched_retry: timedelta


@dataclass(slots=True, kw_only=True)
class Consumer:
    """The consumer of one stream. Raises LeadershipLostError when another process leads.

    Recording waits for the catch-up after a connect for `connect_catch_up` at most.
    """

    stream: VenueStream
    recorder: BatchRecorder
    reconciliation: Reconciliation
    telemetry: Telemetry
    policy: ConsumerPolicy
    connect_catch_up: timedelta = CONNECT_CATCH_UP_WAIT
    _catch_ups: CatchUpRunner = field(init=False)

    def __post_init__(self) -> None:
        self._catch_ups = CatchUpRunner(reconciliation=self.reconciliation, telemetry=self.telemetry)

    async def run(self) -> None:
        """Connect, follow, and connect again, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self.recorder.record_unmatched))
            tasks.create_task(self._repeat(self.recorder.record_unresolved))
            tasks.create_task(self._repair_permanently())
            tasks.create_task(self._follow_permanently())

    async def _repair_permanently(self) -> None:
        """Repair orders whose fills do not add up, each immediately and then with growing pauses."""
        while True:
            await self.reconciliation.repair.wait_until_due()
            if not await self._catch_ups.repair():
                await asyncio.sleep(self.policy.catch_up_pause.total_seconds())

    async def _follow_permanently(self) -> None:
        pause, clock = self.policy.reconnect_first, asyncio.get_running_loop().time
        caught_up_at = float("-inf")
        while True:
            started = clock()
            was_open, error = await run_cancellable(self._session())
            pause = (
                self.policy.reconnect_first if clock() - started >= self.policy.session_min.total_seconds() else pause
            )
            self.telemetry.count(Metric.STREAM_RECONNECTS)
            self.telemetry.warning("stream_lost", error=error, delay_seconds=pause.total_seconds(), next="reconnects")
            if was_open:
                caught_up_at = clock()
            elif clock() - caught_up_at >= self.policy.catch_up_disconnected.total_seconds():
                # A dead connection may occupy the venue's only connection slot for over a minute.
                await self._catch_up(cause=UNHEARD)
                caught_up_at = clock()
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, self.policy.reconnect_max)

    async def _session(self) -> tuple[bool, str]:
        """Follow one connection from its opening to its end; return whether it was open, and why it ended."""
        was_open, reason = False, "the stream ended"
        try:
            async with self.stream.connect() as reports:
                was_open = True
                self.telemetry.info("stream_connected")
                self.telemetry.set(Metric.STREAM_CONNECTED, 1)
                await self._process(reports)
        except* (TransientError, SessionEndedError, BufferFullError) as errors:
            reason = "; ".join(str(error) or type(error).__name__ for error in errors.exceptions)
        finally:
            self.telemetry.set(Metric.STREAM_CONNECTED, 0)
        return was_open, reason

    async def _process(self, reports: AsyncIterator[Sequence[StreamItem]]) -> None:
        buffer: Buffer[StreamItem] = Buffer(items_max=self.policy.buffer_items_max)
        last_report = LastReport(clock=asyncio.get_running_loop().time)
        something_missed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(reports, buffer, last_report))
            caught_up = asyncio.Event()
            tasks.create_task(self._catch_up_throughout(caught_up, something_missed))
            # The stream is buffered meanwhile, so that missed changes are published before new ones.
            with suppress(TimeoutError):
                async with asyncio.timeout(self.connect_catch_up.total_seconds()):
                    await caught_up.wait()
            tasks.create_task(self._record(buffer, something_missed))
            tasks.create_task(self._end_when_silent(last_report))

    async def _read(
        self, reports: AsyncIterator[Sequence[StreamItem]], buffer: Buffer[StreamItem], last_report: LastReport
    ) -> None:
        async for some in reports:
            if some:
                last_report.mark()
                buffer.put(some)
            # A busy stream never yields to the event loop, and the writes to PostgreSQL would wait.
            await asyncio.sleep(0)
        raise SessionEndedError("the venue closed the stream")

    async def _record(self, buffer: Buffer[StreamItem], something_missed: asyncio.Event) -> None:
        """Record batch after batch. A report that arrives while none is being recorded is recorded immediately, others
        are collected.

        At most one further batch is decided while the previous one is written.
        """
        ticket = PipelineTicket()
        ticket.end()
        recording: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        recording.set_result(None)
        async with asyncio.TaskGroup() as tasks:
            while True:
                batch = await buffer.take(
                    items_max=self.policy.batch_items_max, within=self.policy.batch_within, busy=recording
                )
                previous, ticket = ticket, ticket.next_ticket()
                recording = tasks.create_task(self._record_batch(batch, ticket, something_missed))
                await previous.wait_until_ended()

    async def _record_batch(
        self, batch: Sequence[StreamItem], ticket: PipelineTicket, something_missed: asyncio.Event
    ) -> None:
        if await self.recorder.record(batch, ticket=ticket):
            something_missed.set()

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self.policy.unmatched_retry.total_seconds())
            await step()

    async def _catch_up_throughout(self, caught_up: asyncio.Event, something_missed: asyncio.Event) -> None:
        if not await self._catch_up(cause=CONNECT):
            something_missed.set()
        caught_up.set()
        await self._catch_up_when_needed(something_missed)

    async def _catch_up_when_needed(self, something_missed: asyncio.Event) -> None:
        """Catch up at intervals, and when a report was missed; the pause doubles while that resolves nothing."""
        first_pause = pause = self.policy.catch_up_pause
        while True:
            await self._catch_ups.compare_closed_orders()
            cause = "missed_fill"
            try:
                async with asyncio.timeout(self.policy.catch_up_every.total_seconds()):
                    await something_missed.wait()
            except TimeoutError:
                cause = "periodic"
            something_missed.clear()
            if not await self._catch_up(cause=cause):
                something_missed.set()
            await asyncio.sleep(pause.total_seconds())
            pause = min(2 * pause, self.policy.catch_up_every) if something_missed.is_set() else first_pause

    async def _end_when_silent(self, last_report: LastReport) -> None:
        detector = SilenceDetector(
            last_report=last_report,
            reconciliation=self.reconciliation,
            catch_ups=self._catch_ups,
            silence_seconds=self.policy.silence.total_seconds(),
        )
        raise SessionEndedError(await detector.reason_to_end())

    async def _catch_up(self, *, cause: str) -> bool:
        return await self._catch_ups.run(cause=cause) is not None
