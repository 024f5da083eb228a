"""Ingest: records the venue's execution stream in the database, or stands by while another process does."""

from contextlib import AsyncExitStack
from datetime import timedelta

from domain.ports.ingest_state import Fence
from domain.services.order_cache import OrderCache
from exchange.alpaca.stream import AlpacaStream
from ingest.leadership import Leadership, LeadershipPolicy
from runtime.ingest_services import make_consumer
from runtime.observability.health import serve_health
from runtime.processes.lifecycle import Process, new_id, until_stopped, utc_now
from runtime.resources.database import open_database
from runtime.resources.redis import open_redis
from runtime.resources.venue import alpaca_settings, open_venue
from runtime.wiring import make_reconciliation, make_recording

REQUIRES = ("database_url", "redis_url", "broadcast_key")
CACHED_ORDERS_MAX = 20_000
"""About 2 KB each."""


async def run(process: Process) -> None:
    """Lead or stand by until stopped; a leader releases its lease then."""
    settings = process.settings
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(process))
        await database.require_prefix()
        redis = await stack.enter_async_context(open_redis(process))
        venue = await stack.enter_async_context(open_venue(process, database))

        stream = AlpacaStream(
            settings=alpaca_settings(settings),
            installation=database.installation,
            clock=utc_now,
            telemetry=process.telemetry,
        )

        async def follow(fence: Fence) -> None:
            cache = OrderCache(orders_max=CACHED_ORDERS_MAX)
            recording = make_recording(process, database, redis, fence=fence, cache=cache)
            reconciliation = make_reconciliation(process, database, venue, recording)
            await make_consumer(process, database, stream, reconciliation).run()

        leadership = Leadership(
            lease=database.leadership,
            venue=venue.name,
            leader_id=new_id(),
            follow=follow,
            telemetry=process.telemetry,
            policy=LeadershipPolicy(
                lease=timedelta(seconds=settings.ingest_lease_seconds),
                renew_every=timedelta(seconds=settings.ingest_lease_renew_seconds),
                ask_every=timedelta(seconds=settings.ingest_standby_ask_seconds),
            ),
        )
        checks = {"database": database.check, "redis": redis.check}
        await until_stopped(
            process,
            leadership.run,
            database.tape.run,
            probes=lambda: serve_health(process, checks=checks),
        )
