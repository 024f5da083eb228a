"""Tells people: hears every event of the process, gathers what is an alert, and hands messages to the channels.

It runs beside the work and never in its way: hearing an event takes microseconds, sending has tasks and threads of its
own, and nothing that goes wrong here reaches anything else.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from domain.ports.telemetry import Metric
from runtime.alerts.deduplication import RedisClaims, open_claims
from runtime.alerts.delivery import AlertDelivery, Outbox, SendingPolicy
from runtime.alerts.grouping import AlertGroup, AlertGrouping, message_of
from runtime.alerts.kinds import Alert, AlertMatcher
from runtime.observability.telemetry import ProcessTelemetry
from runtime.settings import Settings

STOP_WITHIN_SECONDS = 2.0
"""How long a process that stops waits for its last messages."""
PAUSE_AFTER_ERROR_SECONDS = 1.0


class Alerter:
    """Gathers the alerts of one process and sends them. Without outboxes it only counts."""

    def __init__(
        self,
        *,
        process_name: str,
        noticing: AlertMatcher,
        gathering: AlertGrouping,
        outboxes: Sequence[Outbox],
        claims: RedisClaims | None,
        telemetry: ProcessTelemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process_name = process_name
        self._noticing = noticing
        self._gathering = gathering
        self._outboxes = outboxes
        self._claims = claims
        self._telemetry = telemetry
        self._clock = clock
        self._changed = asyncio.Event()
        self._lost: list[Alert] = []

    def hear(self, event: str, fields: Mapping[str, object]) -> None:
        """Take note of an event. Neither waits nor raises."""
        now = self._clock()
        alert = self._noticing.notice(event, fields, now=now)
        if alert is None:
            return
        self._telemetry.count(Metric.ALERTS, kind=alert.kind.name)
        if self._outboxes and self._gathering.add(alert, now=now):
            self._changed.set()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        while True:
            self._changed.clear()
            due_at = self._gathering.due_at()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if due_at is None else max(0.0, due_at - self._clock())):
                    await self._changed.wait()
            await self.send(due_by=self._clock())

    async def send(self, *, due_by: float) -> None:
        """Hand every burst that is due to the channels, and give back what reached nobody."""
        await self._give_back_lost()
        for burst in self._gathering.take(now=due_by):
            ours = await self._claimed(burst)
            if ours is not None:
                self._post(ours)

    async def finish(self) -> None:
        """Send what was gathered at once, and wait until the channels have it."""
        await self.send(due_by=float("inf"))
        await asyncio.gather(*(outbox.empty() for outbox in self._outboxes))

    async def abandon(self) -> None:
        """Give up what was not sent, so that it is counted, logged, and another process may tell it."""
        for outbox in self._outboxes:
            outbox.abandon()
        await self._give_back_lost()

    async def _give_back_lost(self) -> None:
        if self._lost and self._claims is not None:
            lost, self._lost = self._lost, []
            await self._claims.give_back(lost)

    async def _claimed(self, burst: AlertGroup) -> AlertGroup | None:
        if self._claims is None:
            return burst
        return burst.only(alert.case for alert in await self._claims.claim(burst.alerts))

    def _post(self, burst: AlertGroup) -> None:
        letter = AlertDelivery(
            message=message_of(burst, process=self._process_name),
            alerts=burst.alerts,
            lost=self._lose,
            channels_left=len(self._outboxes),
        )
        for outbox in self._outboxes:
            outbox.put(letter)

    def _lose(self, alerts: Sequence[Alert]) -> None:
        self._gathering.forget(alerts)
        self._lost.extend(alerts)
        self._changed.set()


@asynccontextmanager
async def open_alerts(settings: Settings, *, telemetry: ProcessTelemetry, process_name: str) -> AsyncIterator[None]:
    """Tell people of what happens inside the block. Raises SettingsError for an address that cannot be used."""
    async with AsyncExitStack() as stack:
        claims = None
        if settings.alert_addresses and settings.redis_url is not None:
            claims = await stack.enter_async_context(
                open_claims(settings.redis_address, repeat_seconds=settings.alert_repeat_seconds)
            )
        outboxes = _open_outboxes(settings, telemetry)
        alerter = Alerter(
            process_name=process_name,
            noticing=AlertMatcher(lasting_seconds=settings.alert_stream_down_seconds),
            gathering=AlertGrouping(
                repeat_seconds=settings.alert_repeat_seconds,
                gather_seconds=settings.alert_gather_seconds,
                gather_max_seconds=settings.alert_gather_max_seconds,
            ),
            outboxes=outboxes,
            claims=claims,
            telemetry=telemetry,
        )
        telemetry.listen(alerter.hear)
        work = [alerter.run, *(outbox.run for outbox in outboxes)] if outboxes else []
        tasks = [asyncio.create_task(_kept_up(run, telemetry)) for run in work]
        try:
            yield
        finally:
            await _stop(alerter, tasks)


def _open_outboxes(settings: Settings, telemetry: ProcessTelemetry) -> Sequence[Outbox]:
    if not settings.alert_addresses:
        return ()
    # Half a second and twenty megabytes: only for those who use it.
    from runtime.alerts.channels import open_channels  # noqa: PLC0415 - only where alerts are sent

    policy = SendingPolicy(
        attempts_max=settings.alert_max_attempts,
        timeout_seconds=settings.alert_timeout_seconds,
        pause_seconds=settings.alert_retry_seconds,
    )
    return [
        Outbox(
            channel,
            policy=policy,
            telemetry=telemetry,
            waiting_messages_max=settings.alert_waiting_messages_max,
        )
        for channel in open_channels(settings.alert_addresses)
    ]


async def _kept_up(run: Callable[[], Awaitable[None]], telemetry: ProcessTelemetry) -> None:
    """Run until cancelled, and again after an error: telling people must neither end nor end anything else."""
    while True:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns one message and not the process
            telemetry.error("alerting_failed", error=repr(error), next="goes on with what comes next")
            await asyncio.sleep(PAUSE_AFTER_ERROR_SECONDS)


async def _stop(alerter: Alerter, tasks: Sequence[asyncio.Task[None]]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_WITHIN_SECONDS):
            await alerter.finish()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await alerter.abandon()
