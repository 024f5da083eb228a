"""The SAQ queue: its name, its jobs, and every option written out.

SAQ wakes workers; it never owns an order. It can lose a job or run it twice without any crash, so a job names orders
and nothing more, and running it twice or never changes nothing but the time at which an order is placed.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from redis.asyncio import Redis
from saq import Job, Status
from saq.queue.redis import RedisQueue
from uuid_utils import uuid7

QUEUE_NAME = "fillwire"
PLACE_ORDERS = "place_orders"
CANCEL_ORDERS = "cancel_orders"
ORDERS_PER_JOB_MAX = 50
MILLISECONDS = 1_000  # SAQ's unit of times, but for `scheduled`.
AHEAD_MAX = timedelta(minutes=10)
"""A job that is due later than that was put off by a process whose clock is wrong."""

_ENQUEUES_AT_ONCE_MAX = 20
_RESULT_KEPT_DISABLED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeUp:
    """Orders that need one of the jobs, at the earliest `due_at` (seconds of the Unix epoch; 0 for now)."""

    function: str
    order_ids: Sequence[UUID]
    due_at: int


class WakeUpQueue(RedisQueue):
    """SAQ's queue, but for how it forgets the jobs of dead workers and of wrong clocks.

    SAQ takes a dead worker's jobs one by one, waits five seconds for each, and leaves a job's key for ever when it is
    killed meanwhile. A wake-up is not worth that: its orders are in the database, and the sweeper has found them by
    then. For the same reason it does no harm to forget what is put off for long.
    """

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:  # noqa: ARG002 - SAQ's signature
        """Forget, in one step, what has been in work for longer than its time-out, and what is due too far ahead.

        Gives the keys of the jobs.
        """
        in_work = await self.redis.lrange(self._active, 0, -1)  # type: ignore[misc] # redis types it as perhaps synchronous
        stored = await self.redis.mget(in_work) if in_work else []
        dead = [key for key, job in zip(in_work, stored, strict=True) if _is_dead(self.deserialize(job))]
        latest = time.time() + AHEAD_MAX.total_seconds()
        forgotten = [*dead, *await self.redis.zrangebyscore(self._incomplete, latest, math.inf)]
        if forgotten:
            async with self.redis.pipeline(transaction=True) as pipe:
                for key in dead:
                    pipe.lrem(self._active, 0, key)
                pipe.zrem(self._incomplete, *forgotten)
                pipe.delete(*forgotten)
                await pipe.execute()
        return [key.decode() for key in forgotten]


def _is_dead(job: Job | None) -> bool:
    """Whether it was begun longer ago than it may take, or, by a wrong clock, as far ahead.

    A worker may die before it has noted that it began: then the time counts from when the job was due.
    """
    if job is None:
        return True
    began = job.started if job.status is Status.ACTIVE else max(job.queued, job.scheduled * MILLISECONDS)
    return abs(time.time() - began / MILLISECONDS) > job.timeout


def open_queue(redis: Redis) -> WakeUpQueue:
    """The queue over a client whose `socket_timeout` must be longer than the worker's dequeue time-out."""
    return WakeUpQueue(
        redis,
        name=QUEUE_NAME,
        dump=_dump,
        load=orjson.loads,
        max_concurrent_ops=_ENQUEUES_AT_ONCE_MAX,
        swept_error_message="the worker died or did not finish in time; the sweeper takes the orders over",
    )


def due_at(within: timedelta) -> int:
    """When a job is to run, for SAQ: whole seconds of the epoch, never early; 0 runs it at once."""
    return math.ceil(time.time() + within.total_seconds()) if within > timedelta(0) else 0


def as_job(wake_up: WakeUp, *, timeout_seconds: int) -> Job:
    """The job for a wake-up. PostgreSQL does the retries, so SAQ does none and keeps no result."""
    return Job(
        function=wake_up.function,
        kwargs={"order_ids": [str(order_id) for order_id in wake_up.order_ids]},
        # A key of its own: SAQ drops a job whose key is still known, and an old stuck job must not block a new one.
        key=str(uuid7()),
        timeout=timeout_seconds,
        heartbeat=0,
        retries=1,
        ttl=_RESULT_KEPT_DISABLED,
        retry_delay=0.0,
        retry_backoff=False,
        scheduled=wake_up.due_at,
    )


def _dump(job: Mapping[Any, Any]) -> bytes:
    return orjson.dumps(job, default=str)
