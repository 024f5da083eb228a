"""Wakes workers: collects the orders that become due in this process and enqueues them, several orders to a job.

A caller never waits for Redis. While one enqueue is under way, and for a moment after it, the next wake-ups gather.
When Redis is down they are counted and dropped, since the sweeper finds the orders in the database.

What is due later waits here, on a timer of the event loop, and is enqueued when it is due: SAQ schedules by whole
seconds and looks once a second, so a retry of half a second came up to two seconds late. Wake-ups that wait are lost
with their process; then, too, the sweeper finds the orders.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID

from saq.queue.redis import RedisQueue

from domain.ports.telemetry import Metric, Telemetry
from jobs.queue import WakeUp, as_job
from jobs.queue_outage import DENIED, trouble_of
from jobs.stored_job import CANCEL_ORDERS, ORDERS_PER_JOB_MAX, PLACE_ORDERS

WAITING_ORDERS_MAX = 10_000
LATER_ORDERS_MAX = 50_000
"""Orders that wait for their time; about 500 bytes each."""
LATER_MARGIN_SECONDS = 0.02
"""Added to each wait: by the database's clock an order must be due when it is claimed, or only the sweeper finds it.
That clock may be slewed by 500 parts per million (NTP): 15 ms in the longest usual pause, 30 seconds."""
DENIED_SECONDS = 30.0
"""How long it is reported that Redis denies to enqueue: only the next order finds out whether it still does."""
PAUSE_SECONDS = 0.005
"""Between two enqueues: a job costs SAQ and Redis the same for one order as for fifty, and the first one waits for
nothing."""


class SaqWakeUps:
    """The domain's `WakeUps` over SAQ. It works while `run` does."""

    def __init__(
        self,
        queue: RedisQueue,
        telemetry: Telemetry,
        *,
        enqueue_timeout_seconds: float,
        job_timeout_seconds: int,
    ) -> None:
        self._queue = queue
        self._telemetry = telemetry
        self._enqueue_timeout_seconds = enqueue_timeout_seconds
        self._job_timeout_seconds = job_timeout_seconds
        self._waiting: defaultdict[str, list[UUID]] = defaultdict(list)
        self._waiting_count = 0
        self._later_count = 0
        self._something_waits = asyncio.Event()
        self._denied_at: float | None = None

    def is_denied(self) -> bool:
        """Return whether Redis recently denied this process to enqueue, although it accepts other writes."""
        return self._denied_at is not None and time.monotonic() - self._denied_at < DENIED_SECONDS

    def placement_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        """Add these orders to the next wake-up of the workers, to be submitted after that delay."""
        self._gather(PLACE_ORDERS, order_ids, within)

    def cancel_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        """Add these orders to the next wake-up of the workers, to have their cancel requests sent after that delay."""
        self._gather(CANCEL_ORDERS, order_ids, within)

    async def run(self) -> None:
        """Enqueue what gathers, until cancelled."""
        while True:
            await self._something_waits.wait()
            await self.flush()
            await asyncio.sleep(PAUSE_SECONDS)

    async def flush(self) -> None:
        """Enqueue what has gathered so far; on a failure drop and count it."""
        self._something_waits.clear()
        waiting, self._waiting, self._waiting_count = self._waiting, defaultdict(list), 0
        wake_ups = list(_in_jobs(waiting))
        try:
            async with asyncio.timeout(self._enqueue_timeout_seconds):
                await asyncio.gather(*(self._enqueue(wake_up) for wake_up in wake_ups))
        except Exception as error:  # noqa: BLE001 - a lost wake-up must not end the process, with any error of the client
            self._note_failure(error, orders=sum(len(wake_up.order_ids) for wake_up in wake_ups))
        else:
            self._denied_at = None

    def _note_failure(self, error: Exception, *, orders: int) -> None:
        """Count it and log it; the log gathers what repeats."""
        self._telemetry.count(Metric.WAKE_UPS_FAILED, orders)
        if (reason := trouble_of(error)) == DENIED:
            self._denied_at = time.monotonic()
        self._telemetry.warning(
            "wake_up_failed",
            orders=orders,
            reason=reason,
            error=f"{type(error).__name__}: {error}",
            next="dropped until Redis answers; the sweeper takes the orders from the database",
        )

    async def _enqueue(self, wake_up: WakeUp) -> None:
        await self._queue.enqueue(as_job(wake_up, timeout_seconds=self._job_timeout_seconds))

    def _gather(self, function: str, order_ids: Sequence[UUID], within: timedelta) -> None:
        if within > timedelta(0):
            self._gather_later(function, order_ids, within)
        elif self._has_room(order_ids, waiting=self._waiting_count, most=WAITING_ORDERS_MAX):
            self._waiting[function].extend(order_ids)
            self._waiting_count += len(order_ids)
            self._something_waits.set()

    def _gather_later(self, function: str, order_ids: Sequence[UUID], within: timedelta) -> None:
        if self._has_room(order_ids, waiting=self._later_count, most=LATER_ORDERS_MAX):
            self._later_count += len(order_ids)
            delay_seconds = within.total_seconds() + LATER_MARGIN_SECONDS
            asyncio.get_running_loop().call_later(delay_seconds, self._gather_now, function, order_ids)

    def _gather_now(self, function: str, order_ids: Sequence[UUID]) -> None:
        self._later_count -= len(order_ids)
        self._gather(function, order_ids, timedelta(0))

    def _has_room(self, order_ids: Sequence[UUID], *, waiting: int, most: int) -> bool:
        """Return whether so many more may wait; count them as failed if not."""
        if waiting + len(order_ids) <= most:
            return True
        self._telemetry.count(Metric.WAKE_UPS_FAILED, len(order_ids))
        return False


def _in_jobs(waiting: dict[str, list[UUID]]) -> Iterator[WakeUp]:
    for function, order_ids in waiting.items():
        unique = list(dict.fromkeys(order_ids))
        for start in range(0, len(unique), ORDERS_PER_JOB_MAX):
            yield WakeUp(function=function, order_ids=unique[start : start + ORDERS_PER_JOB_MAX])
