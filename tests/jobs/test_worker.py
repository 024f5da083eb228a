"""The worker over a real Valkey: a wake-up leads to a placement, and a stop cuts nothing in half."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from domain.order import OrderStatus
from jobs.queue import open_queue
from jobs.wake_ups import SaqWakeUps
from jobs.worker import PlacingWorker
from tests.orders import new_order
from tests.processes import eventually
from tests.stories import Stories


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[RedisQueue]:
    async with Redis.from_url(redis_url, socket_timeout=10.0) as redis:
        yield open_queue(redis)


def _worker(queue: RedisQueue, stories: Stories) -> PlacingWorker:
    return PlacingWorker(
        queue=queue,
        submission=stories.submission,
        delivery=stories.delivery,
        telemetry=stories.telemetry,
        jobs_at_once=4,
        dequeue_timeout_seconds=1.0,
        stop_within_seconds=5.0,
    )


async def _wake(queue: RedisQueue, stories: Stories) -> None:
    wake_ups = SaqWakeUps(queue, stories.telemetry, enqueue_timeout_seconds=1.0, job_timeout_seconds=60)
    wake_ups.placement_due(list(stories.store.rows))
    await wake_ups.flush()


async def _stop(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_woken_worker_places_the_order(queue: RedisQueue) -> None:
    stories = Stories()
    order = new_order()
    await stories.store.accept(order)
    running = asyncio.create_task(_worker(queue, stories).run())

    await _wake(queue, stories)
    await eventually(
        lambda: stories.store.rows[order.id].order.status is OrderStatus.PLACED, within_seconds=5, what="placed"
    )

    await _stop(running)
    assert stories.venue.asked == ["place"]


async def test_a_job_that_is_run_twice_places_once(queue: RedisQueue) -> None:
    stories = Stories()
    await stories.store.accept(new_order())
    await _wake(queue, stories)
    await _wake(queue, stories)
    running = asyncio.create_task(_worker(queue, stories).run())

    await eventually(lambda: len(stories.telemetry.values) >= 2, within_seconds=5, what="both jobs ran")

    await _stop(running)
    assert stories.venue.asked == ["place"]


async def test_a_stopping_worker_lets_a_running_placement_finish(queue: RedisQueue) -> None:
    stories = Stories()
    order = new_order()
    await stories.store.accept(order)
    sending, answered = asyncio.Event(), asyncio.Event()

    async def slow_venue() -> None:
        sending.set()
        await answered.wait()

    stories.venue.during_place = slow_venue
    running = asyncio.create_task(_worker(queue, stories).run())
    await _wake(queue, stories)
    async with asyncio.timeout(5):
        await sending.wait()

    running.cancel()
    answered.set()
    await asyncio.gather(running, return_exceptions=True)

    assert stories.store.rows[order.id].order.status is OrderStatus.PLACED


async def test_an_idle_worker_stops_at_once(queue: RedisQueue) -> None:
    running = asyncio.create_task(_worker(queue, Stories()).run())
    await asyncio.sleep(0)

    async with asyncio.timeout(3):
        await _stop(running)

    assert running.cancelled()
