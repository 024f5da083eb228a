"""Ingest: follows the exchange's execution stream into the database."""

from contextlib import AsyncExitStack
from datetime import timedelta

from exchange.alpaca.stream import AlpacaStream
from ingest.consumer import Consumer, ConsumerPolicy
from ingest.recorder import Recorder
from runtime.health import serve_health
from runtime.process import Process, until_stopped, utc_now
from runtime.resources import (
    alpaca_settings,
    make_reconciliation,
    make_recording,
    open_database,
    open_signals,
    open_venue,
)
from runtime.settings import Settings

REQUIRES = ("database_url", "redis_url")


async def run(process: Process) -> None:
    """Follow the stream until stopped."""
    settings = process.settings
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(process))
        signals = await stack.enter_async_context(open_signals(process))
        venue = await stack.enter_async_context(open_venue(process))
        recording = make_recording(process, database, signals)
        reconciliation = make_reconciliation(process, database, venue, recording)
        consumer = Consumer(
            stream=AlpacaStream(settings=alpaca_settings(settings), telemetry=process.telemetry),
            recorder=Recorder(
                reconciliation=reconciliation,
                dead_letters=database.dead_letters,
                telemetry=process.telemetry,
                clock=utc_now,
                retry=timedelta(seconds=settings.ingest_retry_seconds),
            ),
            reconciliation=reconciliation,
            telemetry=process.telemetry,
            policy=_policy(settings),
        )
        checks = {"database": database.orders.oldest_due, "redis": signals.check}
        await until_stopped(process, consumer.run, lambda: serve_health(process, checks=checks))


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
    )
