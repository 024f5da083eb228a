"""`python -m tools.chaos.naive`: the negative control, a worker as commonly built.

A plain SAQ job for each order with eight retries and a back-off. It sends without a claim, never looks up, believes
every refusal, and has no sweeper; canceling is ours, without the sweeper. Without faults it works. A fault run with it
must find violations, or the run proves nothing.
"""

import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

from saq import Job
from saq.queue.redis import RedisQueue
from saq.worker import Worker

from domain.model.order import End
from domain.model.reports import OrderEnded
from domain.ports.venue_outcomes import Placed, Rejected
from jobs.stored_job import CANCEL_ORDERS, PLACE_ORDERS, QUEUE_NAME
from runtime.observability.health import serve_health
from runtime.processes.lifecycle import Process, run_process, until_stopped, utc_now
from runtime.resources.database import open_database
from runtime.resources.redis import open_redis
from runtime.resources.venue import open_venue
from runtime.wiring import make_cancel_delivery, make_recording

RETRIES = 8
RETRY_DELAY_SECONDS = 0.3
RETRY_DELAY_MAX_SECONDS = 5.0
JOB_TIMEOUT_SECONDS = 5
JOBS_AT_ONCE = 64
PLACE_ONE = "place_one"
REQUIRES = ("database_url", "redis_url", "broadcast_key")


class NotPlacedError(Exception):
    """The attempt failed: SAQ tries again."""


class _Worker(Worker[Any]):
    SIGNALS = []  # noqa: RUF012  # SAQ reads it as a class attribute.


async def run(process: Process) -> None:
    """Work until stopped."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(process))
        redis = await stack.enter_async_context(open_redis(process))
        venue = await stack.enter_async_context(open_venue(process, database))
        recording = make_recording(process, database, redis)
        delivery = make_cancel_delivery(process, database, redis, venue, recording)

        queue = RedisQueue(redis.queue.redis, name=QUEUE_NAME)

        async def place_orders(_context: object, *, order_ids: list[str]) -> None:
            for order_id in order_ids:
                await queue.enqueue(_job(order_id))

        async def place_one(_context: object, *, order_id: str) -> None:
            row = (await database.orders.load([UUID(order_id)])).get(UUID(order_id))
            if row is None:
                return
            outcome = await venue.submit(row.order.venue_client_order_id, row.order.terms)
            match outcome:
                case Placed(report=report):
                    await recording.record({row.order.venue_client_order_id: [report]})
                case Rejected(reason=reason):
                    end = OrderEnded(end=End.REJECTED, reason=reason, venue_order_id=None, at=utc_now())
                    await recording.record({row.order.venue_client_order_id: [end]})
                case _:
                    raise NotPlacedError(repr(outcome))

        async def cancel_orders(_context: object, *, order_ids: list[str]) -> None:
            await delivery.deliver([UUID(order_id) for order_id in order_ids])

        worker = _Worker(
            queue,
            [(PLACE_ORDERS, place_orders), (PLACE_ONE, place_one), (CANCEL_ORDERS, cancel_orders)],
            concurrency=JOBS_AT_ONCE,
            dequeue_timeout=process.settings.worker_dequeue_timeout_seconds,
        )
        checks = {"database": database.orders.oldest_due, "redis": redis.check}
        await until_stopped(process, worker.start, lambda: serve_health(process, checks=checks))


def _job(order_id: str) -> Job:
    return Job(
        function=PLACE_ONE,
        kwargs={"order_id": order_id},
        timeout=JOB_TIMEOUT_SECONDS,
        retries=RETRIES,
        retry_delay=RETRY_DELAY_SECONDS,
        retry_backoff=timedelta(seconds=RETRY_DELAY_MAX_SECONDS).total_seconds(),
    )


if __name__ == "__main__":
    sys.exit(run_process("worker", run, requires=REQUIRES))
