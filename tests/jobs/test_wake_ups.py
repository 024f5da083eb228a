"""Wake-ups over a real Valkey: several orders to a job, later ones when they are due, and never in anybody's way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from domain.ports.telemetry import Metric
from jobs.queue import open_queue
from jobs.stored_job import ORDERS_PER_JOB_MAX, PLACE_ORDERS
from jobs.wake_ups import LATER_ORDERS_MAX, WAITING_ORDERS_MAX, SaqWakeUps
from tests.support.fakes.telemetry import RecordingTelemetry

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[RedisQueue]:
    async with Redis.from_url(redis_url, socket_timeout=5.0) as redis:
        yield open_queue(redis, telemetry=RecordingTelemetry())


def _wake_ups(queue: RedisQueue, telemetry: RecordingTelemetry | None = None) -> SaqWakeUps:
    return SaqWakeUps(queue, telemetry or RecordingTelemetry(), enqueue_timeout_seconds=0.5, job_timeout_seconds=60)


def _ids(count: int) -> list[UUID]:
    return [UUID(int=number + 1) for number in range(count)]


async def test_orders_that_gather_are_named_by_one_job_each_once(queue: RedisQueue) -> None:
    wake_ups = _wake_ups(queue)
    first, second = _ids(2)

    wake_ups.placement_due([first])
    wake_ups.placement_due([second, first])
    await wake_ups.flush()

    job = await queue.dequeue(timeout=1.0)
    assert job is not None
    assert (job.function, job.kwargs) == (PLACE_ORDERS, {"order_ids": [str(first), str(second)]})
    assert await queue.count("queued") == 0


async def test_a_job_names_no_more_orders_than_its_bound(queue: RedisQueue) -> None:
    wake_ups = _wake_ups(queue)

    wake_ups.placement_due(_ids(ORDERS_PER_JOB_MAX + 1))
    await wake_ups.flush()

    assert await queue.count("queued") == 2


async def test_a_later_attempt_is_enqueued_when_it_is_due_and_not_before(queue: RedisQueue) -> None:
    wake_ups, loop = _wake_ups(queue), asyncio.get_running_loop()
    sending = asyncio.create_task(wake_ups.run())

    began = loop.time()
    wake_ups.placement_due(_ids(1), within=timedelta(milliseconds=300))
    await wake_ups.flush()
    in_advance = await queue.count("incomplete")
    job = await queue.dequeue(timeout=5.0)
    waited = loop.time() - began
    sending.cancel()

    assert in_advance == 0
    assert job is not None
    assert job.kwargs == {"order_ids": [str(order_id) for order_id in _ids(1)]}
    assert 0.3 <= waited < 0.45


async def test_what_waits_for_its_time_is_bounded_and_hinders_nothing_that_is_due(queue: RedisQueue) -> None:
    telemetry = RecordingTelemetry()
    wake_ups = _wake_ups(queue, telemetry)

    wake_ups.cancel_due(_ids(LATER_ORDERS_MAX), within=timedelta(hours=1))
    wake_ups.cancel_due(_ids(2), within=timedelta(hours=1))
    wake_ups.cancel_due(_ids(1))
    await wake_ups.flush()

    assert telemetry.counted(Metric.WAKE_UPS_FAILED) == 2
    assert await queue.count("queued") == 1


async def test_saq_is_configured_without_retries(queue: RedisQueue) -> None:
    wake_ups = _wake_ups(queue)

    wake_ups.cancel_due(_ids(1))
    await wake_ups.flush()

    job = await queue.dequeue(timeout=1.0)
    assert job is not None
    assert (job.retries, job.timeout, job.ttl) == (1, 60, -1)


async def test_a_wake_up_is_counted_and_dropped_while_redis_is_down() -> None:
    telemetry = RecordingTelemetry()

    async with Redis.from_url(NOBODY_LISTENS, socket_connect_timeout=0.2) as redis:
        wake_ups = _wake_ups(open_queue(redis, telemetry=telemetry), telemetry)
        wake_ups.placement_due(_ids(3))
        await wake_ups.flush()

    assert telemetry.counted(Metric.WAKE_UPS_FAILED) == 3
    assert telemetry.said("wake_up_failed")[0]["orders"] == 3


async def test_what_gathers_is_bounded(queue: RedisQueue) -> None:
    telemetry = RecordingTelemetry()
    wake_ups = _wake_ups(queue, telemetry)

    wake_ups.placement_due(_ids(WAITING_ORDERS_MAX))
    wake_ups.placement_due(_ids(1))

    assert telemetry.counted(Metric.WAKE_UPS_FAILED) == 1
