"""Ingest: records the venue's execution stream in the database, or stands by while another process does."""

from contextlib import AsyncExitStack
from datetime import timedelta

from domain.ports.ingest_state import Fence
from domain.services.order_cache import OrderCache
from exchange.alpaca.stream import AlpacaStream
from ingest.leadership import Leadership, LeadershipPolicy
from runtime.adapters import LimitedVenue, Stores, WiredProcess
from runtime.ingest_services import make_consumer
from runtime.observability.health import serve_health
from runtime.processes.lifecycle import Process, new_id, until_stopped
from runtime.reconciliation_services import make_reconciliation
from runtime.resources.database import open_database
from runtime.resources.redis import open_redis
from runtime.resources.venue import alpaca_settings, open_venue
from runtime.wiring import make_recording

REQUIRES = ("database_url", "redis_url", "broadcast_key")
CACHED_ORDERS_MAX = 20_000
"""About 2 KB each."""


def make_stream(process: WiredProcess, stores: Stores, venue: LimitedVenue) -> AlpacaStream:
    """Return the venue's execution stream."""
    return AlpacaStream(
        settings=alpaca_settings(process.settings),
        installation=stores.installation,
        # Where the venue states no time: by ours, if it is ahead, a bust would hide the fills that follow it.
        clock=venue.venue_clock,
        telemetry=process.telemetry,
    )


async def run(process: Process) -> None:
    """Lead or stand by until stopped; a leader releases its lease then."""
    settings = process.settings
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(process))
        await database.require_prefix()
        redis = await stack.enter_async_context(open_redis(process))
        venue = await stack.enter_async_context(open_venue(process, database))

        stream = make_stream(process, database, venue)

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
