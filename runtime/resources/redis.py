"""Redis: the job queue, wake-ups of workers, and the publisher of changes. Signals only: the truth is in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import ceil

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from saq.queue.redis import RedisQueue

from broadcast.envelope import MessageSigner
from broadcast.publisher import RedisPublisher, open_publisher
from broadcast.settings import PublisherSettings
from domain.services.submission import longest_job
from jobs.queue import open_queue
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

    queue: RedisQueue
    redis: Redis
    wake_ups: SaqWakeUps
    publisher: RedisPublisher

    async def check(self) -> None:
        """Raise NotReadyError when Redis does not answer."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await self.redis.ping()  # type: ignore[misc] # redis types its async commands as perhaps synchronous
        except (RedisError, OSError) as error:
            raise redis_trouble(error) from error


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
                signer=message_signer(settings),
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
            redis=redis,
            wake_ups=crashing(wake_ups, settings.crash_at),
            publisher=crashing(publisher, settings.crash_at),
        )


def redis_trouble(error: Exception) -> NotReadyError:
    """Return why Redis cannot be worked with, and what to do."""
    if isinstance(error, NoPermissionError):
        return NotReadyError(
            "no permission",
            f"Redis refuses a command: {error}. Let REDIS_URL name this process's own user (see deploy/redis).",
        )
    if isinstance(error, AuthenticationError):
        return NotReadyError(
            "login refused", f"Redis refuses the login: {error}. Correct the user or password in REDIS_URL."
        )
    return NotReadyError("unreachable", f"Redis cannot be reached: {error!r}. Start it, or fix REDIS_URL.")


def message_signer(settings: Settings) -> MessageSigner:
    """Return the signer with the keys of BROADCAST_KEY, which the process requires."""
    return MessageSigner([key.encode() for key in settings.broadcast_keys])


def _queue_redis(settings: Settings) -> Redis:
    return Redis.from_url(
        settings.redis_address,
        # SAQ blocks on it for its dequeue time-out; a shorter socket time-out would cut that off.
        socket_timeout=settings.worker_dequeue_timeout_seconds + QUEUE_SOCKET_MARGIN_SECONDS,
        socket_connect_timeout=QUEUE_CONNECT_TIMEOUT_SECONDS,
        socket_keepalive=True,
        health_check_interval=QUEUE_HEALTH_CHECK_SECONDS,
        max_connections=settings.worker_jobs_at_once + QUEUE_OTHER_CONNECTIONS_MAX,
    )
