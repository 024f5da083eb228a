"""The queue over a real Valkey: leftovers of dead workers and wrong clocks are deleted, and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis
from saq import Job, Status
from saq.queue.redis import RedisQueue
from saq.utils import now

from jobs.queue import WakeUp, as_job, open_queue
from jobs.stored_job import PLACE_ORDERS
from jobs.wake_up_queue import AHEAD_MAX, MILLISECONDS
from tests.support.fakes.telemetry import RecordingTelemetry

TIMEOUT_SECONDS = 6
DEAD_JOBS = 20


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[RedisQueue]:
    async with Redis.from_url(redis_url, socket_timeout=5.0) as redis:
        yield open_queue(redis, telemetry=RecordingTelemetry())


async def _in_work(queue: RedisQueue, *, for_seconds: float, noted: bool = True) -> Job:
    """Create a job that a worker started that long ago; `noted` is false when the worker crashed before it recorded
    that.
    """
    began = now() - int(for_seconds * MILLISECONDS)
    job = as_job(WakeUp(function=PLACE_ORDERS, order_ids=[UUID(int=1)]), timeout_seconds=TIMEOUT_SECONDS)
    await queue.enqueue(job)
    taken = await queue.dequeue(timeout=1.0)
    assert taken is not None
    await taken.update(queued=began, **({"status": Status.ACTIVE, "started": began} if noted else {}))
    return taken


async def test_the_jobs_of_a_dead_worker_are_deleted_immediately_and_leave_no_key(queue: RedisQueue) -> None:
    for number in range(DEAD_JOBS):
        await _in_work(queue, for_seconds=TIMEOUT_SECONDS + 1, noted=number > 0)

    async with asyncio.timeout(1):
        swept = await queue.sweep(lock=1)

    assert len(swept) == DEAD_JOBS
    assert await queue.redis.keys("saq:job:*") == []
    assert await queue.count("active") == 0
    assert await queue.count("incomplete") == 0


async def test_a_job_that_a_worker_is_running_is_not_touched(queue: RedisQueue) -> None:
    running = await _in_work(queue, for_seconds=1)
    just_taken = await _in_work(queue, for_seconds=1, noted=False)

    swept = await queue.sweep(lock=1)

    assert swept == []
    assert await queue.job(running.key) is not None
    assert await queue.job(just_taken.key) is not None
    assert await queue.count("active") == 2


async def test_what_a_worker_with_a_wrong_clock_put_off_for_an_hour_is_forgotten(queue: RedisQueue) -> None:
    for within in (AHEAD_MAX - timedelta(minutes=1), timedelta(hours=1), timedelta(days=365)):
        job = as_job(WakeUp(function=PLACE_ORDERS, order_ids=[UUID(int=1)]), timeout_seconds=TIMEOUT_SECONDS)
        job.scheduled = int(time.time() + within.total_seconds())
        await queue.enqueue(job)

    swept = await queue.sweep(lock=1)

    assert len(swept) == 2
    assert len(await queue.redis.keys("saq:job:*")) == 1
    assert await queue.count("incomplete") == 1


@pytest.mark.parametrize("noted", [True, False])
async def test_a_job_that_a_worker_with_a_wrong_clock_began_an_hour_ahead_is_forgotten(
    queue: RedisQueue, *, noted: bool
) -> None:
    await _in_work(queue, for_seconds=-3_600, noted=noted)

    swept = await queue.sweep(lock=1)

    assert len(swept) == 1
    assert await queue.redis.keys("saq:job:*") == []
    assert await queue.count("active") == 0
