"""Ingest: records the venue's execution stream in the database, or stands by while another process does."""

from contextlib import AsyncExitStack
from datetime import timedelta

from domain.ports.ingest_state import Fence
from domain.services.dead_letter_keeper import DeadLetterKeeper
from exchange.alpaca.rest import AlpacaVenue
from exchange.alpaca.stream import AlpacaStream
from ingest.batch_recorder import DEAD_LETTER_SOURCE, BatchRecorder
from ingest.consumer import Consumer, ConsumerPolicy
from ingest.leadership import Leadership, LeadershipPolicy
from ingest.unmatched_reports import UnmatchedReports
from runtime.observability.health import serve_health
from runtime.processes.lifecycle import Process, new_id, until_stopped, utc_now
from runtime.resources.database import DatabaseResources, open_database
from runtime.resources.redis import RedisResources, open_redis
from runtime.resources.venue import alpaca_settings, open_venue
from runtime.settings import Settings
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

        async def follow(fence: Fence) -> None:
            await make_consumer(process, database, redis, venue, fence=fence).run()

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


def make_consumer(
    process: Process, database: DatabaseResources, redis: RedisResources, venue: AlpacaVenue, *, fence: Fence
) -> Consumer:
    """Return the consumer of the stream for one term of leadership."""
    settings = process.settings
    recording = make_recording(process, database, redis, fence=fence, cached_orders_max=CACHED_ORDERS_MAX)
    reconciliation = make_reconciliation(process, database, venue, recording)
    unmatched = UnmatchedReports(
        reports_max=settings.unknown_order_reports_max, wait_seconds=settings.unknown_order_wait_seconds
    )
    unresolved = UnmatchedReports(
        reports_max=settings.unresolved_reports_max, wait_seconds=settings.unresolved_wait_seconds
    )
    return Consumer(
        stream=AlpacaStream(
            settings=alpaca_settings(settings),
            installation=database.installation,
            # Where the venue states no time: by ours, if it is ahead, a bust would hide the fills that follow it.
            clock=venue.venue_clock,
            telemetry=process.telemetry,
        ),
        recorder=BatchRecorder(
            catch_up=reconciliation.fills,
            dead_letters=DeadLetterKeeper(
                source=DEAD_LETTER_SOURCE, dead_letters=database.dead_letters, telemetry=process.telemetry
            ),
            unmatched=unmatched,
            unresolved=unresolved,
            telemetry=process.telemetry,
            clock=utc_now,
            retry=timedelta(seconds=settings.ingest_retry_seconds),
        ),
        reconciliation=reconciliation,
        telemetry=process.telemetry,
        policy=_policy(settings),
    )


def _policy(settings: Settings) -> ConsumerPolicy:
    return ConsumerPolicy(
        buffer_items_max=settings.ingest_buffer_reports_max,
        batch_items_max=settings.ingest_batch_reports_max,
        batch_within=timedelta(milliseconds=settings.ingest_batch_within_ms),
        reconnect_first=timedelta(seconds=settings.stream_reconnect_seconds),
        reconnect_max=timedelta(seconds=settings.stream_reconnect_max_seconds),
        session_min=timedelta(seconds=settings.stream_session_min_seconds),
        catch_up_every=timedelta(seconds=settings.catch_up_every_seconds),
        catch_up_pause=timedelta(seconds=settings.catch_up_pause_seconds),
        catch_up_disconnected=timedelta(seconds=settings.catch_up_unheard_seconds),
        silence=timedelta(seconds=settings.stream_silence_seconds),
        unmatched_retry=timedelta(seconds=settings.unknown_order_retry_seconds),
    )
