"""Follows the exchange's stream: connect, catch up what was missed while nobody listened, record what comes.

One task reads the socket into the buffer, one records batches from it, one asks the venue whenever something may have
been missed, one ends a session that says nothing. A session that ends, for whatever reason, is followed by the next
after a pause that grows; as long as none can be opened, the venue is asked instead.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.model.errors import FillwireError, TransientError
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import UnreadableReport, VenueReport, VenueStream
from domain.services.pipeline import PipelineTicket
from domain.services.reconciliation import Reconciliation
from ingest.batch_recorder import Recorder
from ingest.buffer import Buffer, BufferFullError
from ingest.silence_detector import Hearing, SilenceWatch

Item = VenueReport | UnreadableReport


class SessionEndedError(FillwireError):
    """The stream's connection is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerPolicy:
    """Bounds of following the stream. `batch_within` is how long what came while a batch is recorded gathers before it
    is decided ahead of its turn, `session_min` keeps a venue that accepts and closes from being stormed.

    `catch_up_unheard` is the pace of asking while no session can be opened, `silence` how long one may say nothing
    while orders are open, and `waiting_retry` the pace of trying reports again whose orders are not known yet.
    """

    buffer_items_max: int
    batch_items_max: int
    batch_within: timedelta
    reconnect_first: timedelta
    reconnect_max: timedelta
    session_min: timedelta
    catch_up_every: timedelta
    catch_up_pause: timedelta
    catch_up_unheard: timedelta
    silence: timedelta
    waiting_retry: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """Follows one stream until cancelled. Raises LeadershipLost when what it writes is not wanted any more."""

    stream: VenueStream
    recorder: Recorder
    reconciliation: Reconciliation
    telemetry: Telemetry
    policy: ConsumerPolicy

    async def run(self) -> None:
        """Connect, follow, and connect again, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._record_waiting())
            tasks.create_task(self._follow_for_ever())

    async def _follow_for_ever(self) -> None:
        pause, clock = self.policy.reconnect_first, asyncio.get_running_loop().time
        caught_up_at = float("-inf")
        while True:
            started = clock()
            was_open, error = await self._session()
            pause = (
                self.policy.reconnect_first if clock() - started >= self.policy.session_min.total_seconds() else pause
            )
            self.telemetry.count(Metric.STREAM_RECONNECTS)
            self.telemetry.warning("stream_lost", error=error, delay_seconds=pause.total_seconds(), next="reconnects")
            if was_open:
                caught_up_at = clock()
            elif clock() - caught_up_at >= self.policy.catch_up_unheard.total_seconds():
                # A place that a dead connection holds may stay taken for a minute and more; fills do not wait for it.
                await self._catch_up(cause="unheard")
                caught_up_at = clock()
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, self.policy.reconnect_max)

    async def _session(self) -> tuple[bool, str]:
        """One connection from its opening to its end; gives whether it was open, and the reason of the end."""
        was_open, reason = False, "the stream ended"
        try:
            async with self.stream.connect() as reports:
                was_open = True
                self.telemetry.info("stream_connected")
                self.telemetry.set(Metric.STREAM_CONNECTED, 1)
                await self._follow(reports)
        except* (TransientError, SessionEndedError, BufferFullError) as errors:
            reason = "; ".join(str(error) or type(error).__name__ for error in errors.exceptions)
        finally:
            self.telemetry.set(Metric.STREAM_CONNECTED, 0)
        return was_open, reason

    async def _follow(self, reports: AsyncIterator[Sequence[Item]]) -> None:
        buffer: Buffer[Item] = Buffer(items_max=self.policy.buffer_items_max)
        hearing = Hearing(clock=asyncio.get_running_loop().time)
        something_missed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(reports, buffer, hearing))
            # The stream is buffered meanwhile, so that people see what they missed before what is new.
            if not await self._catch_up(cause="connect"):
                something_missed.set()
            tasks.create_task(self._record(buffer, something_missed))
            tasks.create_task(self._catch_up_when_needed(something_missed))
            tasks.create_task(self._end_when_silent(hearing))

    async def _read(self, reports: AsyncIterator[Sequence[Item]], buffer: Buffer[Item], hearing: Hearing) -> None:
        async for some in reports:
            if some:
                hearing.mark()
                buffer.put(some)
            # A stream that has much to say never waits by itself, and PostgreSQL would.
            await asyncio.sleep(0)
        raise SessionEndedError("the venue closed the stream")

    async def _record(self, buffer: Buffer[Item], something_missed: asyncio.Event) -> None:
        """Batch after batch. What comes while nothing is recorded goes at once, and what comes meanwhile gathers.

        When that is much, it is taken and decided while the batch before is written, but no more than one batch is.
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
                before, ticket = ticket, ticket.next_ticket()
                recording = tasks.create_task(self._record_batch(batch, ticket, something_missed))
                await before.wait_until_ended()

    async def _record_batch(
        self, batch: Sequence[Item], ticket: PipelineTicket, something_missed: asyncio.Event
    ) -> None:
        if await self.recorder.record(batch, ticket=ticket):
            something_missed.set()

    async def _record_waiting(self) -> None:
        while True:
            await asyncio.sleep(self.policy.waiting_retry.total_seconds())
            await self.recorder.record_waiting()

    async def _catch_up_when_needed(self, something_missed: asyncio.Event) -> None:
        while True:
            cause = "missed_fill"
            try:
                async with asyncio.timeout(self.policy.catch_up_every.total_seconds()):
                    await something_missed.wait()
            except TimeoutError:
                cause = "periodic"
            something_missed.clear()
            if not await self._catch_up(cause=cause):
                something_missed.set()
            await asyncio.sleep(self.policy.catch_up_pause.total_seconds())

    async def _end_when_silent(self, hearing: Hearing) -> None:
        watch = SilenceWatch(
            hearing=hearing,
            reconciliation=self.reconciliation,
            telemetry=self.telemetry,
            silence_seconds=self.policy.silence.total_seconds(),
        )
        raise SessionEndedError(await watch.reason_to_end())

    async def _catch_up(self, *, cause: str) -> bool:
        try:
            await self.reconciliation.catch_up(cause=cause)
        except TransientError as error:
            self.telemetry.warning("catch_up_failed", cause=cause, error=str(error), next="tried again")
            return False
        return True
