"""The messages that wait for one channel: bounded, sent one after the other, tried again for a while."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.ports.telemetry import Metric, Telemetry
from runtime.alerts.channels import Channel
from runtime.alerts.grouping import AlertMessage
from runtime.alerts.kinds import Alert

HOW_TO_TRY = "run `python -m runtime alerts test`"
STOPPED = "the process stopped before it was sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingPolicy:
    """How patient sending is. The pause after a failed attempt doubles with each."""

    attempts_max: int
    timeout_seconds: float
    pause_seconds: float


@dataclass(slots=True, kw_only=True)
class AlertDelivery:
    """A message on its way to every channel, with the cases that it tells. When no channel took it, `lost` is called
    with them."""

    message: AlertMessage
    alerts: Sequence[Alert]
    lost: Callable[[Sequence[Alert]], None]
    channels_left: int
    is_sent: bool = False

    def settle(self, *, sent: bool) -> None:
        """One channel is done with it."""
        self.channels_left -= 1
        self.is_sent |= sent
        if not self.channels_left and not self.is_sent:
            self.lost(self.alerts)


class Outbox:
    """Sends to one channel. A dead channel fills its own outbox, and nothing else notices."""

    def __init__(
        self,
        channel: Channel,
        *,
        policy: SendingPolicy,
        telemetry: Telemetry,
        waiting_messages_max: int,
    ) -> None:
        self._channel = channel
        self._policy = policy
        self._telemetry = telemetry
        self._waiting: asyncio.Queue[AlertDelivery] = asyncio.Queue(waiting_messages_max)

    def put(self, letter: AlertDelivery) -> None:
        """Add a message; with no room it is dropped, counted and logged."""
        try:
            self._waiting.put_nowait(letter)
        except asyncio.QueueFull:
            self._fail(letter, outcome="dropped", error="too many messages wait for this channel")

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            letter = await self._waiting.get()
            try:
                await self._send(letter)
            except asyncio.CancelledError:
                self._fail(letter, outcome="failed", error=STOPPED)
                raise
            finally:
                self._waiting.task_done()

    async def empty(self) -> None:
        """Return when nothing waits any more."""
        await self._waiting.join()

    def abandon(self) -> None:
        """Give up what still waits."""
        while not self._waiting.empty():
            self._fail(self._waiting.get_nowait(), outcome="failed", error=STOPPED)

    async def _send(self, letter: AlertDelivery) -> None:
        pause = self._policy.pause_seconds
        reason: str | None = None
        for attempt in range(self._policy.attempts_max):
            if attempt:
                await asyncio.sleep(pause)
                pause *= 2
            reason = await self._channel.send(letter.message, within_seconds=self._policy.timeout_seconds)
            if reason is None:
                self._telemetry.count(Metric.ALERT_MESSAGES, outcome="sent")
                letter.settle(sent=True)
                return
        self._fail(letter, outcome="failed", error=reason)

    def _fail(self, letter: AlertDelivery, *, outcome: str, error: str | None) -> None:
        self._telemetry.count(Metric.ALERT_MESSAGES, outcome=outcome)
        self._telemetry.error(
            "alert_not_sent", channel=self._channel.name, kind=letter.message.kind, error=error, next=HOW_TO_TRY
        )
        letter.settle(sent=False)
