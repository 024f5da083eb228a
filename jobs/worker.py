"""The worker: SAQ's loop with our jobs. PostgreSQL decides what is due; a job only names the orders to look up."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saq.queue.redis import RedisQueue
from saq.worker import Worker

from domain.model.errors import TransientError
from domain.ports.telemetry import Metric, Telemetry
from domain.services.cancel_delivery import CancelDelivery
from domain.services.submission import Submission
from jobs.stored_job import CANCEL_ORDERS, PLACE_ORDERS

SCHEDULE_SECONDS = 1
WORKER_INFO_SECONDS = 10
SWEEP_SECONDS = 15
ABORT_CHECK_SECONDS = 1
CANCELLATION_DEADLINE_SECONDS = 1.0
CANCELLATIONS_MAX = 5
RETRY_CANCELLATION_SECONDS = 0.1


class _SaqWorker(Worker[Any]):
    """SAQ's worker without its signal handlers (`runtime.processes` decides when to stop), and with a stop that
    waits only for running jobs: SAQ always waits for its whole grace period, even when no job runs.
    """

    SIGNALS = []  # noqa: RUF012 - SAQ reads it as a class attribute

    def __init__(self, *arguments: Any, stop_within_seconds: float, telemetry: Telemetry, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stop_within_seconds = stop_within_seconds
        self._telemetry = telemetry
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def running_job(self) -> AsyncIterator[None]:
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def abort(self, abort_threshold: float) -> None:
        """Abort no job: Fillwire never requests it, and an entry in Redis must not end a submission."""

    async def process(self) -> bool:
        """Run the next job. When Redis becomes unreachable meanwhile, SAQ cannot record the job's end and does not
        log that.
        """
        try:
            return await super().process()
        except Exception as error:  # noqa: BLE001 - after any failure of SAQ the orders are in the database
            self._telemetry.warning(
                "job_not_ended",
                error=f"{type(error).__name__}: {error}",  # The client's own form leaves the text out.
                next="the sweeper looks after its orders",
            )
            return True

    async def stop(self) -> None:
        self.event.set()  # From here on a finished job is not followed by another.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stop_within_seconds):
                await self._idle.wait()
        await self._cancel_until_ended()
        await super().stop()

    async def _cancel_until_ended(self) -> None:
        """Cancel SAQ's tasks, and again those that are still running, a bounded number of times.

        A cancellation at the end of a write to Redis is lost (asyncio.wait_for until Python 3.12, in redis-py). SAQ
        cancels once, and its task would still sleep for up to SWEEP_SECONDS: longer than a process has to stop.
        """
        for _ in range(CANCELLATIONS_MAX):
            if not (running := [task for task in self.tasks if not task.done()]):
                return
            for task in running:
                task.cancel()
            # A job that is cut off in its work has something to wind up, what waits for Redis has not.
            await asyncio.wait(
                running, timeout=CANCELLATION_DEADLINE_SECONDS if self._running else RETRY_CANCELLATION_SECONDS
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWorker:
    """Runs jobs until stopped. `dequeue_timeout_seconds` bounds how long a dead connection is not detected, and
    `stop_within_seconds` how long running submissions may take to finish when the process stops.
    """

    queue: RedisQueue
    submission: Submission
    delivery: CancelDelivery
    telemetry: Telemetry
    jobs_at_once: int
    dequeue_timeout_seconds: float
    stop_within_seconds: float
    abort_check_seconds: float = ABORT_CHECK_SECONDS

    async def run(self) -> None:
        """Run jobs until cancelled; then accept no more and wait for the running ones, within the bound."""
        worker = _SaqWorker(
            self.queue,
            [
                (PLACE_ORDERS, self._job(PLACE_ORDERS, self.submission.submit)),
                (CANCEL_ORDERS, self._job(CANCEL_ORDERS, self.delivery.deliver)),
            ],
            concurrency=self.jobs_at_once,
            cron_jobs=[],
            timers={
                "schedule": SCHEDULE_SECONDS,
                "worker_info": WORKER_INFO_SECONDS,
                "sweep": SWEEP_SECONDS,
                "abort": self.abort_check_seconds,
            },
            dequeue_timeout=self.dequeue_timeout_seconds,
            burst=False,
            shutdown_grace_period_s=None,
            cancellation_hard_deadline_s=CANCELLATION_DEADLINE_SECONDS,
            stop_within_seconds=self.stop_within_seconds,
            telemetry=self.telemetry,
        )
        running = asyncio.create_task(worker.start())
        try:
            await asyncio.shield(running)
        finally:
            worker.event.set()
            await running

    def _job(self, name: str, work: Callable[[Collection[UUID]], Awaitable[int]]) -> Callable[..., Awaitable[None]]:
        async def job(context: dict[str, Any], *, order_ids: list[str]) -> None:
            started = time.perf_counter()
            try:
                async with context["worker"].running_job():
                    await work([UUID(order_id) for order_id in order_ids])
            except TransientError as error:
                self.telemetry.warning(
                    "job_failed", job=name, orders=len(order_ids), error=str(error), next="the sweeper repeats it"
                )
            finally:
                self.telemetry.observe(Metric.JOB_SECONDS, time.perf_counter() - started, job=name)

        return job
