"""Notifies people: matches every event of the process, groups the alerts, and queues messages for the channels.

It runs concurrently with the work and never delays it: matching an event takes microseconds, sending has its own tasks
and threads, and errors here do not propagate.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime

from domain.ports.telemetry import Metric
from runtime.alerts.deduplication import AlertDeduplicator, open_deduplicator
from runtime.alerts.delivery import AlertDelivery, ChannelQueue, DeliveryPolicy
from runtime.alerts.grouping import AlertGroup, AlertGrouping, message_of
from runtime.alerts.matching import AlertMatcher
from runtime.observability.telemetry import ProcessTelemetry
from runtime.settings import Settings

STOP_WITHIN_SECONDS = 2.0
"""How long a process that stops waits for its last messages."""
PAUSE_AFTER_ERROR_SECONDS = 1.0
GATHER_SECONDS = 3.0
"""How long the first alert of a kind waits for others, so that a burst is one message."""


class Alerter:
    """Groups the alerts of one process and sends them. Without channels it only counts."""

    def __init__(
        self,
        *,
        process_name: str,
        matcher: AlertMatcher,
        grouping: AlertGrouping,
        queues: Sequence[ChannelQueue],
        deduplicator: AlertDeduplicator | None,
        telemetry: ProcessTelemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process_name = process_name
        self._matcher = matcher
        self._grouping = grouping
        self._queues = queues
        self._deduplicator = deduplicator
        self._telemetry = telemetry
        self._clock = clock
        self._changed = asyncio.Event()
        self._undelivered: list[str] = []

    def on_event(self, event: str, fields: Mapping[str, object]) -> None:
        """Add the event to a group when it is an alert. Neither waits nor raises."""
        now = self._clock()
        alert = self._matcher.match(event, fields, now=now)
        if alert is None:
            return
        self._telemetry.count(Metric.ALERTS, kind=alert.kind.name)
        if self._queues and self._grouping.add(alert, now=now, time=datetime.now(UTC)):
            self._changed.set()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        while True:
            self._changed.clear()
            due_at = self._grouping.next_due_at()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if due_at is None else max(0.0, due_at - self._clock())):
                    await self._changed.wait()
            await self.send(due_by=self._clock())

    async def send(self, *, due_by: float) -> None:
        """Queue every group that is due for the channels, and release the kinds whose message no channel delivered."""
        await self._release_undelivered()
        for group in self._grouping.due(now=due_by):
            other = None
            if self._deduplicator is not None:
                other = await self._deduplicator.reserve(group.kind.name, group.named, now=self._clock())
            if self._grouping.take(group, other=other, now=due_by):
                self._enqueue(group)

    async def finish(self) -> None:
        """Send every group immediately, and wait until the channels are done."""
        await self.send(due_by=float("inf"))
        await asyncio.gather(*(queue.join() for queue in self._queues))

    async def abandon(self) -> None:
        """Fail what was not sent: it is counted and logged, and another process may send it."""
        for queue in self._queues:
            queue.fail_waiting()
        await self._release_undelivered()

    async def _release_undelivered(self) -> None:
        if self._undelivered and self._deduplicator is not None:
            undelivered, self._undelivered = self._undelivered, []
            await self._deduplicator.release(undelivered)

    def _enqueue(self, group: AlertGroup) -> None:
        delivery = AlertDelivery(
            message=message_of(group, process=self._process_name),
            undelivered=self._on_undelivered,
            channels_left=len(self._queues),
        )
        for queue in self._queues:
            queue.put(delivery)

    def _on_undelivered(self, kind: str) -> None:
        self._grouping.forget(kind)
        self._undelivered.append(kind)
        self._changed.set()


@asynccontextmanager
async def open_alerts(
    settings: Settings,
    *,
    telemetry: ProcessTelemetry,
    process_name: str,
    gather_seconds: float = GATHER_SECONDS,
    stop_within_seconds: float = STOP_WITHIN_SECONDS,
) -> AsyncIterator[None]:
    """Send alerts of what happens inside the block. Raises SettingsError for an address that cannot be used."""
    async with AsyncExitStack() as stack:
        deduplicator = None
        if settings.alert_addresses and settings.redis_url is not None and settings.broadcast_keys:
            deduplicator = await stack.enter_async_context(
                open_deduplicator(
                    settings.redis_address,
                    signer=settings.message_signer,
                    repeat_seconds=settings.alert_repeat_seconds,
                )
            )
        queues = _open_queues(settings, telemetry)
        alerter = Alerter(
            process_name=process_name,
            matcher=AlertMatcher(sustained_seconds=settings.alert_stream_down_seconds),
            grouping=AlertGrouping(repeat_seconds=settings.alert_repeat_seconds, gather_seconds=gather_seconds),
            queues=queues,
            deduplicator=deduplicator,
            telemetry=telemetry,
        )
        telemetry.add_listener(alerter.on_event)
        work = [alerter.run, *(queue.run for queue in queues)] if queues else []
        tasks = [asyncio.create_task(_run_despite_errors(run, telemetry)) for run in work]
        try:
            yield
        finally:
            await _stop(alerter, tasks, within_seconds=stop_within_seconds)


def _open_queues(settings: Settings, telemetry: ProcessTelemetry) -> Sequence[ChannelQueue]:
    if not settings.alert_addresses:
        return ()
    from runtime.alerts.channels import open_channels  # noqa: PLC0415 - half a second and 20 MB, only where alerts are sent

    policy = DeliveryPolicy(
        attempts_max=settings.alert_max_attempts,
        timeout_seconds=settings.alert_timeout_seconds,
        pause_seconds=settings.alert_retry_seconds,
    )
    return [
        ChannelQueue(
            channel,
            policy=policy,
            telemetry=telemetry,
            waiting_messages_max=settings.alert_waiting_messages_max,
        )
        for channel in open_channels(settings.alert_addresses)
    ]


async def _run_despite_errors(run: Callable[[], Awaitable[None]], telemetry: ProcessTelemetry) -> None:
    """Run until cancelled, and again after an error: alerting must neither stop nor stop anything else."""
    while True:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - any error concerns one message and not the process
            telemetry.error("alerting_failed", error=repr(error), next="continues with the next alert")
            await asyncio.sleep(PAUSE_AFTER_ERROR_SECONDS)


async def _stop(alerter: Alerter, tasks: Sequence[asyncio.Task[None]], *, within_seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_seconds):
            await alerter.finish()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await alerter.abandon()
