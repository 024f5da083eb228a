"""Delivers messages to channels: a bounded queue for each channel, sent one after the other, with retries."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from domain.ports.telemetry import Metric, Telemetry
from runtime.alerts.channels import Channel
from runtime.alerts.grouping import AlertMessage

HOW_TO_TEST = "run `python -m runtime alerts test`"
STOPPED = "the process stopped before it was sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How often one channel is tried. The pause after a failed attempt doubles with each."""

    attempts_max: int
    timeout_seconds: float
    pause_seconds: float


@dataclass(slots=True, kw_only=True)
class AlertDelivery:
    """A message on its way to every channel. `undelivered` is called with its kind when every channel failed."""

    message: AlertMessage
    undelivered: Callable[[str], None]
    channels_left: int
    is_sent: bool = False

    def finish_channel(self, *, sent: bool) -> None:
        """Note that one channel has sent the message, or will not."""
        self.channels_left -= 1
        self.is_sent |= sent
        if not self.channels_left and not self.is_sent:
            self.undelivered(self.message.kind)


class ChannelQueue:
    """The messages for one channel. A failing channel fills only its own queue."""

    def __init__(
        self,
        channel: Channel,
        *,
        policy: DeliveryPolicy,
        telemetry: Telemetry,
        waiting_messages_max: int,
    ) -> None:
        self._channel = channel
        self._policy = policy
        self._telemetry = telemetry
        self._waiting: asyncio.Queue[AlertDelivery] = asyncio.Queue(waiting_messages_max)

    def put(self, delivery: AlertDelivery) -> None:
        """Add a message; when the queue is full it is dropped, counted and logged."""
        try:
            self._waiting.put_nowait(delivery)
        except asyncio.QueueFull:
            self._fail(delivery, outcome="dropped", error="too many messages wait for this channel")

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            delivery = await self._waiting.get()
            try:
                await self._send(delivery)
            except asyncio.CancelledError:
                self._fail(delivery, outcome="failed", error=STOPPED)
                raise
            finally:
                self._waiting.task_done()

    async def join(self) -> None:
        """Wait until every message was sent or has failed."""
        await self._waiting.join()

    def fail_waiting(self) -> None:
        """Fail every message that still waits."""
        while not self._waiting.empty():
            self._fail(self._waiting.get_nowait(), outcome="failed", error=STOPPED)

    async def _send(self, delivery: AlertDelivery) -> None:
        pause = self._policy.pause_seconds
        reason: str | None = None
        for attempt in range(self._policy.attempts_max):
            if attempt:
                await asyncio.sleep(pause)
                pause *= 2
            reason = await self._channel.send(delivery.message, within_seconds=self._policy.timeout_seconds)
            if reason is None:
                self._telemetry.count(Metric.ALERT_MESSAGES, outcome="sent")
                delivery.finish_channel(sent=True)
                return
        self._fail(delivery, outcome="failed", error=reason)

    def _fail(self, delivery: AlertDelivery, *, outcome: str, error: str | None) -> None:
        self._telemetry.count(Metric.ALERT_MESSAGES, outcome=outcome)
        self._telemetry.error(
            "alert_not_sent", channel=self._channel.name, kind=delivery.message.kind, error=error, next=HOW_TO_TEST
        )
        delivery.finish_channel(sent=False)
