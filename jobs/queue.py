"""The SAQ queue: its name, its jobs, and every option written out.

SAQ wakes workers; it never owns an order. It can lose a job or run it twice without any crash, so a job contains only
order ids, and running it twice or never changes only the time at which an order is submitted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from redis.asyncio import Redis
from saq import Job
from uuid_utils import uuid7

from domain.ports.telemetry import Telemetry
from jobs.stored_job import QUEUE_NAME
from jobs.wake_up_queue import WakeUpQueue

_ENQUEUES_AT_ONCE_MAX = 20
_RESULT_KEPT_DISABLED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeUp:
    """Orders that need one of the jobs now."""

    function: str
    order_ids: Sequence[UUID]


def open_queue(redis: Redis, *, telemetry: Telemetry) -> WakeUpQueue:
    """Return the queue over a client whose `socket_timeout` must be longer than the worker's dequeue time-out."""
    return WakeUpQueue(
        redis,
        telemetry=telemetry,
        name=QUEUE_NAME,
        dump=_dump,
        load=orjson.loads,
        max_concurrent_ops=_ENQUEUES_AT_ONCE_MAX,
        swept_error_message="the worker died or did not finish in time; the sweeper takes the orders over",
    )


def as_job(wake_up: WakeUp, *, timeout_seconds: int) -> Job:
    """Return the job for a wake-up. PostgreSQL does the retries, so SAQ does none and keeps no result."""
    return Job(
        function=wake_up.function,
        kwargs={"order_ids": [str(order_id) for order_id in wake_up.order_ids]},
        # A unique key: SAQ drops a job whose key is still known, and an old stuck job must not block a new one.
        key=str(uuid7()),
        timeout=timeout_seconds,
        heartbeat=0,
        retries=1,
        ttl=_RESULT_KEPT_DISABLED,
        retry_delay=0.0,
        retry_backoff=False,
        scheduled=0,
    )


def _dump(job: Mapping[Any, Any]) -> bytes:
    return orjson.dumps(job, default=str)
