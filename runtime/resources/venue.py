"""The venue by request and answer. Its execution stream is opened by ingest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from exchange.alpaca.rest import AlpacaVenue, open_alpaca_venue
from exchange.alpaca.settings import AlpacaSettings
from runtime.processes.crash_points import crashing
from runtime.processes.lifecycle import Process, utc_now
from runtime.settings import Settings


@asynccontextmanager
async def open_venue(process: Process) -> AsyncIterator[AlpacaVenue]:
    """Open the client of the venue's REST API."""
    async with open_alpaca_venue(
        alpaca_settings(process.settings), clock=utc_now, telemetry=process.telemetry
    ) as venue:
        yield crashing(venue, process.settings.crash_at)


def alpaca_settings(settings: Settings) -> AlpacaSettings:
    """Return how to reach the venue."""
    return AlpacaSettings(
        url=settings.exchange_url,
        stream_url=settings.exchange_stream_url,
        key=settings.exchange_key.get_secret_value(),
        secret=settings.exchange_secret.get_secret_value(),
        connect_timeout_seconds=settings.exchange_connect_timeout_seconds,
        request_timeout_seconds=settings.placement_timeout_seconds,
        connections_max=settings.exchange_connections_max,
    )
