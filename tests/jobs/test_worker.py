"""The worker over a real Valkey: a wake-up causes a submission, and a stop interrupts none."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from domain.model.order import OrderStatus
from domain.ports.telemetry import Metric
from jobs.queue import open_queue
from jobs.wake_up_queue import WakeUpQueue
from jobs.wake_ups import SaqWakeUps
from jobs.worker import JobWorker
from tests.support.examples import new_order
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.memory_gateway import Desk
from tests.support.processes import eventually
from tests.support.proxy import proxied


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[WakeUpQueue]:
    async with Redis.from_url(redis_url, socket_timeout=10.0) as redis:
        yield open_queue(redis, telemetry=RecordingTelemetry())


def _worker(queue: WakeUpQueue, desk: Desk) -> JobWorker:
    return JobWorker(
        queue=queue,
        submission=desk.submission,
        delivery=desk.delivery,
        telemetry=desk.telemetry,
        jobs_at_once=4,
        dequeue_timeout_seconds=1.0,
        stop_within_seconds=5.0,
    )


async def _wake(queue: WakeUpQueue, desk: Desk) -> None:
    wake_ups = SaqWakeUps(queue, desk.telemetry, enqueue_timeout_seconds=1.0, job_timeout_seconds=60)
    wake_ups.placement_due(list(desk.orders.rows))
    await wake_ups.flush()


async def _stop(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_woken_worker_places_the_order(queue: WakeUpQueue) -> None:
    desk = Desk()
    order = new_order()
    await desk.orders.store(order)
    running = asyncio.create_task(_worker(queue, desk).run())

    await _wake(queue, desk)
    await eventually(
        lambda: desk.orders.rows[order.id].order.status is OrderStatus.PLACED, within_seconds=5, what="placed"
    )

    await _stop(running)
    assert desk.venue.asked == ["submit"]


async def test_a_job_that_is_run_twice_places_once(queue: WakeUpQueue) -> None:
    desk = Desk()
    await desk.orders.store(new_order())
    await _wake(queue, desk)
    await _wake(queue, desk)
    running = asyncio.create_task(_worker(queue, desk).run())

    await eventually(
        lambda: len(desk.telemetry.measured[Metric.JOB_SECONDS]) >= 2, within_seconds=5, what="both jobs ran"
    )

    await _stop(running)
    assert desk.venue.asked == ["submit"]


async def test_a_stopping_worker_finishes_a_running_submission(queue: WakeUpQueue) -> None:
    desk = Desk()
    order = new_order()
    await desk.orders.store(order)
    sending, answered = asyncio.Event(), asyncio.Event()

    async def slow_venue() -> None:
        sending.set()
        await answered.wait()

    desk.venue.during_submit = slow_venue
    running = asyncio.create_task(_worker(queue, desk).run())
    await _wake(queue, desk)
    async with asyncio.timeout(5):
        await sending.wait()

    running.cancel()
    answered.set()
    await asyncio.gather(running, return_exceptions=True)

    assert desk.orders.rows[order.id].order.status is OrderStatus.PLACED


async def test_redis_unreachable_during_a_job_is_logged_without_an_unhandled_error(redis_url: str) -> None:
    desk = Desk()
    await desk.orders.store(new_order())
    unseen: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    async with (
        proxied(redis_url) as (redis, through_proxy),
        Redis.from_url(through_proxy, socket_timeout=10.0) as client,
    ):
        queue = open_queue(client, telemetry=desk.telemetry)
        desk.venue.during_submit = redis.take_away
        running = asyncio.create_task(_worker(queue, desk).run())

        await _wake(queue, desk)
        await eventually(lambda: desk.telemetry.said("job_not_ended"), within_seconds=10, what="told")

        await _stop(running)
    gc.collect()
    asyncio.get_running_loop().set_exception_handler(None)
    assert unseen == []


async def test_an_idle_worker_stops_immediately(queue: WakeUpQueue) -> None:
    running = asyncio.create_task(_worker(queue, Desk()).run())
    await asyncio.sleep(0)

    async with asyncio.timeout(3):
        await _stop(running)

    assert running.cancelled()


async def test_a_stop_that_is_lost_in_the_answer_of_redis_is_detected_the_second_time(
    queue: WakeUpQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, is_sweeping = queue.sweep, asyncio.Event()

    async def deaf_sweep(lock: int = 60, abort: float = 5.0) -> list[str]:
        """Behave like asyncio.wait_for before Python 3.12: cancelled in the iteration in which it ends, it returns
        normally.
        """
        is_sweeping.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await sweep(lock, abort)

    monkeypatch.setattr(queue, "sweep", deaf_sweep)
    running = asyncio.create_task(_worker(queue, Desk()).run())
    async with asyncio.timeout(5):
        await is_sweeping.wait()

        await _stop(running)

    assert running.cancelled()
