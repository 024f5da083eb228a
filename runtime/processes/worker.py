"""A worker: submits and cancels orders, sweeps those whose wake-up was lost, and compares open orders with the
venue.
"""

import time
from contextlib import AsyncExitStack
from datetime import timedelta

from jobs.periodic import PeriodicStep, repeat
from jobs.sealer import Sealer
from jobs.sweeper import Sweeper
from jobs.worker import JobWorker
from runtime.alerts.order_watch import OrderWatch
from runtime.observability.health import serve_health
from runtime.processes.lifecycle import Process, until_stopped
from runtime.reconciliation_services import make_reconciliation
from runtime.resources.database import DatabaseResources, open_database
from runtime.resources.redis import open_redis
from runtime.resources.venue import open_venue
from runtime.wiring import (
    make_cancel_delivery,
    make_due_time_repair,
    make_recording,
    make_resolving,
    make_sealing,
    make_submission,
    make_trading_control,
)

REQUIRES = ("database_url", "redis_url", "broadcast_key")
RESOLUTIONS_EVERY = timedelta(seconds=0.5)
"""How often a worker looks for operators' requests: a person waits. It reads an index that is empty nearly always."""


async def run(process: Process) -> None:
    """Work until stopped; running attempts may finish within `stop_within_seconds`."""
    settings = process.settings
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(process))
        await database.require_prefix()
        redis = await stack.enter_async_context(open_redis(process))
        venue = await stack.enter_async_context(open_venue(process, database))
        recording = make_recording(process, database, redis)
        submission = make_submission(process, database, redis, venue, recording)
        delivery = make_cancel_delivery(process, database, redis, venue, recording)
        worker = JobWorker(
            queue=redis.queue,
            submission=submission,
            delivery=delivery,
            telemetry=process.telemetry,
            jobs_at_once=settings.worker_jobs_at_once,
            dequeue_timeout_seconds=settings.worker_dequeue_timeout_seconds,
            stop_within_seconds=settings.stop_within_seconds,
        )
        sweeper = Sweeper(
            orders=database.orders,
            submission=submission,
            delivery=delivery,
            telemetry=process.telemetry,
            interval=timedelta(seconds=settings.sweep_every_seconds),
            overdue_by=timedelta(seconds=settings.sweep_overdue_seconds),
            stop_within=timedelta(seconds=settings.stop_within_seconds),
        )
        reconciliation = make_reconciliation(process, database, venue, recording)
        resolving = make_resolving(process, database, venue, reconciliation)
        reconciler = PeriodicStep(
            name="reconcile",
            step=lambda: reconciliation.compare_open_orders(
                silent_for=timedelta(seconds=settings.reconcile_silent_seconds)
            ),
            every=timedelta(seconds=settings.reconcile_every_seconds),
            telemetry=process.telemetry,
        )
        halts = PeriodicStep(
            name="halts",
            step=make_trading_control(process, database).measure,
            every=timedelta(seconds=settings.sweep_every_seconds),
            telemetry=process.telemetry,
        )
        sealer = Sealer(
            sealing=make_sealing(process, database),
            telemetry=process.telemetry,
            interval=timedelta(seconds=settings.audit_seal_every_seconds),
            steady_seconds=time.monotonic,
        )
        checks = {"database": database.check, "redis": redis.check}
        await until_stopped(
            process,
            worker.run,
            sweeper.run,
            reconciler.run,
            lambda: repeat(resolving.work, every=RESOLUTIONS_EVERY, name="resolutions", telemetry=process.telemetry),
            _order_watch(process, database).run,
            database.tape.run,
            halts.run,
            make_due_time_repair(process, database.due_times).run,
            sealer.run,
            probes=lambda: serve_health(process, checks=checks),
        )


def _order_watch(process: Process, database: DatabaseResources) -> OrderWatch:
    settings = process.settings
    return OrderWatch(
        orders=database.waiting,
        telemetry=process.telemetry,
        clock=time.monotonic,
        interval=timedelta(seconds=settings.alert_check_every_seconds),
        in_doubt_for=timedelta(seconds=settings.alert_in_doubt_seconds),
        pending_for=timedelta(seconds=settings.alert_pending_seconds),
        again_after=timedelta(seconds=settings.alert_repeat_seconds + settings.alert_check_every_seconds),
    )
