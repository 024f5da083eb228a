"""Redis: the job queue, wake-ups of workers, and the publisher of changes. Signals only: PostgreSQL is the source
of truth.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import ceil

from redis.asyncio import Redis

from broadcast.publisher import RedisPublisher, open_publisher
from broadcast.redis_client import redis_client
from broadcast.settings import PublisherSettings
from domain.services.submission import longest_job
from jobs.queue import open_queue
from jobs.queue_outage import DENIED, UNREACHABLE, trouble_of
from jobs.wake_up_queue import WakeUpQueue
from jobs.wake_ups import SaqWakeUps
from runtime.observability.health import NotReadyError
from runtime.processes.crash_points import crashing
from runtime.processes.lifecycle import Process
from runtime.settings import Settings

QUEUE_CONNECT_TIMEOUT_SECONDS = 2.0
QUEUE_HEALTH_CHECK_SECONDS = 15
QUEUE_SOCKET_MARGIN_SECONDS = 10.0
QUEUE_OTHER_CONNECTIONS_MAX = 32
CHECK_TIMEOUT_SECONDS = 1.0
JOB_MARGIN_SECONDS = 5
"""For recording the result: SAQ cancels a job that takes longer, whatever it is about to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisResources:
    """Signals to other processes: wake-ups to workers, changes to API processes."""

    queue: WakeUpQueue
    wake_ups: SaqWakeUps
    publisher: RedisPublisher

    async def check(self) -> None:
        """Raise NotReadyError when Redis does not answer or refuses writes, and when the queue does not work."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await self.queue.check()
        except Exception as error:
            raise redis_trouble(error) from error
        if reason := self.queue.outage.reason or (DENIED if self.wake_ups.is_denied() else None):
            sentence = f"The job queue does not work: {reason}. See job_queue_failing or wake_up_failed in the log."
            raise NotReadyError(reason, sentence)


@asynccontextmanager
async def open_redis(process: Process, *, publish_pause_seconds: float = 0.0) -> AsyncIterator[RedisResources]:
    """Open the queue, wake-ups and publisher, with the tasks that send. They open also while Redis is down."""
    settings = process.settings
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(_queue_redis(settings))
        queue = open_queue(redis, telemetry=process.telemetry)
        wake_ups = SaqWakeUps(
            queue,
            process.telemetry,
            enqueue_timeout_seconds=settings.wake_up_timeout_seconds,
            job_timeout_seconds=ceil(longest_job(settings.placement_lease).total_seconds()) + JOB_MARGIN_SECONDS,
        )
        publisher = await stack.enter_async_context(
            open_publisher(
                settings.redis_address,
                signer=settings.message_signer,
                settings=PublisherSettings(
                    buffer_max_changes=settings.publish_waiting_changes_max,
                    send_timeout_seconds=settings.publish_timeout_seconds,
                    pause_seconds=publish_pause_seconds,
                ),
                telemetry=process.telemetry,
            )
        )
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        sending = tasks.create_task(wake_ups.run(), name="wake-ups")
        stack.callback(sending.cancel)
        stack.push_async_callback(wake_ups.flush)
        yield RedisResources(
            queue=queue,
            wake_ups=crashing(wake_ups, settings.crash_at),
            publisher=crashing(publisher, settings.crash_at),
        )


def redis_trouble(error: Exception) -> NotReadyError:
    """Return why Redis cannot be worked with, and what to do."""
    what = "cannot be reached" if (trouble := trouble_of(error)) == UNREACHABLE else f"is {trouble}"
    advice = "Start it, or correct it, the rights of its user (deploy/redis), or REDIS_URL."
    return NotReadyError(trouble, f"Redis {what}: {type(error).__name__}: {error}. {advice}")


def _queue_redis(settings: Settings) -> Redis:
    return redis_client(
        settings.redis_address,
        # SAQ blocks on it for its dequeue time-out; a shorter socket time-out would cut that off.
        socket_timeout=settings.worker_dequeue_timeout_seconds + QUEUE_SOCKET_MARGIN_SECONDS,
        socket_connect_timeout=QUEUE_CONNECT_TIMEOUT_SECONDS,
        socket_keepalive=True,
        health_check_interval=QUEUE_HEALTH_CHECK_SECONDS,
        max_connections=settings.worker_jobs_at_once + QUEUE_OTHER_CONNECTIONS_MAX,
    )
