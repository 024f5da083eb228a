"""Follows the exchange's stream: connect, catch up what was missed while nobody listened, record what comes.

One task reads the socket into the buffer, one records batches from it, one asks the venue whenever something may have
been missed. A session that ends, for whatever reason, is followed by the next after a pause that grows.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from domain.errors import FillwireError, TryAgain
from domain.ports import UnreadableReport, VenueReport, VenueStream
from domain.reconciliation import Reconciliation
from domain.telemetry import Metric, Telemetry
from ingest.buffer import Buffer, BufferFull
from ingest.recorder import Recorder

Item = VenueReport | UnreadableReport


class SessionEnded(FillwireError):  # noqa: N818 - read as a sentence
    """The stream's connection is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerPolicy:
    """Bounds of following the stream. `session_min` keeps a venue that accepts and closes from being stormed."""

    buffer_items_max: int
    batch_items_max: int
    batch_within: timedelta
    reconnect_first: timedelta
    reconnect_max: timedelta
    session_min: timedelta
    catch_up_every: timedelta
    catch_up_pause: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """Follows one stream until cancelled."""

    stream: VenueStream
    recorder: Recorder
    reconciliation: Reconciliation
    telemetry: Telemetry
    policy: ConsumerPolicy

    async def run(self) -> None:
        """Connect, follow, and connect again, until cancelled."""
        pause = self.policy.reconnect_first
        while True:
            started = asyncio.get_running_loop().time()
            error = await self._session()
            lasted = timedelta(seconds=asyncio.get_running_loop().time() - started)
            pause = self.policy.reconnect_first if lasted >= self.policy.session_min else pause
            self.telemetry.count(Metric.STREAM_RECONNECTS)
            self.telemetry.warning("stream_lost", error=error, delay_seconds=pause.total_seconds(), next="reconnects")
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, self.policy.reconnect_max)

    async def _session(self) -> str:
        """One connection from its opening to its end; gives the reason of the end."""
        reason = "the stream ended"
        try:
            async with self.stream.connect() as reports:
                self.telemetry.info("stream_connected")
                self.telemetry.set(Metric.STREAM_CONNECTED, 1)
                await self._follow(reports)
        except* (TryAgain, SessionEnded, BufferFull) as errors:
            reason = "; ".join(str(error) or type(error).__name__ for error in errors.exceptions)
        finally:
            self.telemetry.set(Metric.STREAM_CONNECTED, 0)
        return reason

    async def _follow(self, reports: AsyncIterator[Item]) -> None:
        buffer: Buffer[Item] = Buffer(items_max=self.policy.buffer_items_max)
        something_missed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(reports, buffer))
            # The stream is buffered meanwhile, so that people see what they missed before what is new.
            if not await self._catch_up(cause="connect"):
                something_missed.set()
            tasks.create_task(self._record(buffer, something_missed))
            tasks.create_task(self._catch_up_when_needed(something_missed))

    async def _read(self, reports: AsyncIterator[Item], buffer: Buffer[Item]) -> None:
        async for report in reports:
            buffer.put(report)
        raise SessionEnded("the venue closed the stream")

    async def _record(self, buffer: Buffer[Item], something_missed: asyncio.Event) -> None:
        while True:
            batch = await buffer.take(items_max=self.policy.batch_items_max, within=self.policy.batch_within)
            if await self.recorder.record(batch):
                something_missed.set()

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

    async def _catch_up(self, *, cause: str) -> bool:
        try:
            await self.reconciliation.catch_up(cause=cause)
        except TryAgain as error:
            self.telemetry.warning("catch_up_failed", cause=cause, error=str(error), next="tried again")
            return False
        return True
