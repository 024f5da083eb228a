"""An attacker with write access to Redis adds entries to the job queue: at most a worker looks up some orders once
more.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import orjson
import pytest
from redis.asyncio import Redis

from domain.model.order import OrderStatus
from domain.ports.telemetry import Metric
from jobs.queue import WakeUp, as_job, open_queue
from jobs.stored_job import JOB_MAX_BYTES, PLACE_ORDERS
from jobs.wake_up_queue import WakeUpQueue
from jobs.wake_ups import SaqWakeUps
from jobs.worker import JobWorker
from tests.support.examples import new_order
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.memory_gateway import Desk
from tests.support.processes import eventually

QUEUED, ACTIVE, INCOMPLETE = "saq:fillwire:queued", "saq:fillwire:active", "saq:fillwire:incomplete"
TIMEOUT_SECONDS = 6


@pytest.fixture
async def telemetry() -> RecordingTelemetry:
    return RecordingTelemetry()


@pytest.fixture
async def queue(redis_url: str, telemetry: RecordingTelemetry) -> AsyncIterator[WakeUpQueue]:
    async with Redis.from_url(redis_url, socket_timeout=10.0) as redis:
        yield open_queue(redis, telemetry=telemetry)


def a_job(key: str | None = None, **changed: object) -> tuple[str, bytes]:
    """Return the id and the content of a job in our form, with the given changes."""
    key = key or str(uuid4())
    content = {
        "function": PLACE_ORDERS,
        "kwargs": {"order_ids": [str(UUID(int=1))]},
        "queue": "fillwire",
        "key": key,
        "timeout": TIMEOUT_SECONDS,
        "ttl": -1,
        "status": "queued",
    }
    return f"saq:job:fillwire:{key}", orjson.dumps(content | changed)


def forged_jobs() -> dict[str, tuple[str, bytes]]:
    huge = [str(UUID(int=number)) for number in range(51)]
    deep = b"[" * 4_000
    return {
        "no JSON": ("saq:job:fillwire:x", b"not JSON"),
        "a pickle": ("saq:job:fillwire:x", b"\x80\x04cos\nsystem\n(S'true'\ntR."),
        "no object": ("saq:job:fillwire:x", b"[]"),
        "deep nesting": ("saq:job:fillwire:x", deep),
        "longer than a job": a_job(meta={"x": "y" * JOB_MAX_BYTES}),
        "an unknown function": a_job(function="os.system"),
        "no arguments": a_job(kwargs=None),
        "wrong arguments": a_job(kwargs={"order_ids": "all"}),
        "more arguments": a_job(kwargs={"order_ids": [str(UUID(int=1))], "force": True}),
        "no order ids": a_job(kwargs={"order_ids": ["'; DROP TABLE orders"]}),
        "too many order ids": a_job(kwargs={"order_ids": huge}),
        "no time-out": a_job(timeout=0),
        "an endless time-out": a_job(timeout=10**12),
        "retries": a_job(retries=10**9),
        "a result that stays": a_job(ttl=0),
        "another queue": a_job(queue="other"),
        "an abort": a_job(status="aborting"),
        "another job's key": (a_job()[0], a_job()[1]),
        "another key of Redis": ("fillwire:alert:x", b"1"),
        "no text": ("saq:job:fillwire:x", b"\xff\xfe"),
    }


@pytest.mark.parametrize("name", forged_jobs())
async def test_a_forged_job_is_deleted_and_the_next_one_is_run(
    name: str, queue: WakeUpQueue, telemetry: RecordingTelemetry
) -> None:
    job_id, content = forged_jobs()[name]
    await queue.redis.set(job_id, content)
    await queue.redis.rpush(QUEUED, job_id)  # type: ignore[misc] # redis types it as perhaps synchronous
    real = as_job(WakeUp(function=PLACE_ORDERS, order_ids=[UUID(int=7)]), timeout_seconds=TIMEOUT_SECONDS)
    await queue.enqueue(real)

    assert await queue.dequeue(timeout=1.0) is None
    taken = await queue.dequeue(timeout=1.0)

    assert taken is not None
    assert taken.key == real.key
    assert await queue.count("active") == 1
    assert telemetry.counted(Metric.JOBS_REFUSED) == 1
    # What is no job's key is not ours to delete.
    assert await queue.redis.exists(job_id) == (not job_id.startswith("saq:job:"))


@pytest.mark.parametrize("name", forged_jobs())
async def test_a_forged_job_in_work_is_swept_with_those_of_dead_workers(name: str, queue: WakeUpQueue) -> None:
    job_id, content = forged_jobs()[name]
    dead_id, dead = a_job(status="active", started=1)
    for one, stored in ((job_id, content), (dead_id, dead)):
        await queue.redis.set(one, stored)
        await queue.redis.rpush(ACTIVE, one)  # type: ignore[misc] # redis types it as perhaps synchronous

    swept = await queue.sweep()

    assert swept == [job_id, dead_id]
    assert await queue.count("active") == 0


async def test_ids_that_are_no_text_and_keys_of_another_type_stop_no_sweep(queue: WakeUpQueue) -> None:
    await queue.redis.rpush(ACTIVE, b"\xff\xfe", "saq:job:fillwire:list")  # type: ignore[misc] # as above
    await queue.redis.rpush("saq:job:fillwire:list", "an item")  # type: ignore[misc] # as above
    await queue.redis.zadd(INCOMPLETE, {b"\xff": 10**12})

    assert len(await queue.sweep()) == 3
    assert await queue.redis.keys("*") == []


@pytest.mark.parametrize("key", [QUEUED, ACTIVE, INCOMPLETE])
async def test_an_overwritten_queue_is_recreated(key: str, queue: WakeUpQueue) -> None:
    await queue.redis.set(key, "no list")

    await queue.sweep()

    await queue.enqueue(*[as_job(WakeUp(function=PLACE_ORDERS, order_ids=[UUID(int=7)]), timeout_seconds=6)])
    assert await queue.dequeue(timeout=1.0) is not None


async def test_a_flood_of_forged_jobs_does_not_block_a_worker_from_the_real_one(redis_url: str) -> None:
    desk = Desk()
    order = new_order()
    await desk.orders.store(order)
    forged = list(forged_jobs().values())
    async with Redis.from_url(redis_url, socket_timeout=10.0) as redis:
        queue = open_queue(redis, telemetry=desk.telemetry)
        for number in range(500):
            job_id, content = forged[number % len(forged)]
            await redis.set(f"{job_id}{number}", content)
            await redis.rpush(QUEUED, f"{job_id}{number}")  # type: ignore[misc] # redis types it as perhaps synchronous
        await _wake(queue, desk)
        running = asyncio.create_task(_worker(queue, desk).run())

        await eventually(lambda: desk.orders.rows[order.id].order.status is OrderStatus.PLACED, within_seconds=20)

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert desk.venue.asked == ["submit"]
        assert desk.telemetry.counted(Metric.JOBS_REFUSED) >= 500
        assert await queue.count("queued") == 0


async def test_a_job_that_names_an_order_that_was_not_placed_submits_nothing(redis_url: str) -> None:
    desk = Desk()
    async with Redis.from_url(redis_url, socket_timeout=10.0) as redis:
        queue = open_queue(redis, telemetry=desk.telemetry)
        job_id, content = a_job(kwargs={"order_ids": [str(uuid4()) for _ in range(50)]})
        await redis.set(job_id, content)
        await redis.rpush(QUEUED, job_id)  # type: ignore[misc] # redis types it as perhaps synchronous
        running = asyncio.create_task(_worker(queue, desk).run())

        await eventually(lambda: len(desk.telemetry.measured[Metric.JOB_SECONDS]) == 1, within_seconds=10)

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert desk.venue.asked == []


async def test_an_abort_that_is_written_into_redis_ends_no_submission(redis_url: str) -> None:
    desk = Desk()
    order = new_order()
    await desk.orders.store(order)
    is_sending, is_answered = asyncio.Event(), asyncio.Event()

    async def slow_venue() -> None:
        is_sending.set()
        await is_answered.wait()

    desk.venue.during_submit = slow_venue
    async with Redis.from_url(redis_url, socket_timeout=10.0) as redis:
        queue = open_queue(redis, telemetry=desk.telemetry)
        await _wake(queue, desk)
        worker = replace(_worker(queue, desk), abort_check_seconds=0.05)
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(is_sending.wait(), timeout=10)
        [job_id] = await redis.lrange(ACTIVE, 0, -1)  # type: ignore[misc] # redis types it as perhaps synchronous
        stored = orjson.loads(await redis.get(job_id))
        await redis.set(job_id, orjson.dumps(stored | {"status": "aborting", "error": "forged"}))
        # SAQ checks for aborts several times meanwhile.
        await redis.blpop(["nothing comes here"], timeout=0.5)  # type: ignore[misc] # as above

        is_answered.set()
        await eventually(lambda: desk.orders.rows[order.id].order.status is OrderStatus.PLACED, within_seconds=10)

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


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
    wake_ups = SaqWakeUps(queue, desk.telemetry, enqueue_timeout_seconds=2.0, job_timeout_seconds=60)
    wake_ups.placement_due(list(desk.orders.rows))
    await wake_ups.flush()
