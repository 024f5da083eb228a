"""The venue by request and answer. Its execution stream is opened by ingest."""

import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from db.rate_budget_store import PostgresRateBudgetStore
from domain.model.rate_budget import RequestPriority
from domain.services.rate_limiter import RateLimitPolicy, SharedRateLimiter
from domain.services.venue_clock import MeasuredVenueClock
from exchange.alpaca.rest import AlpacaVenue, open_alpaca_venue
from exchange.alpaca.settings import AlpacaSettings
from runtime.processes.crash_points import crashing
from runtime.processes.lifecycle import Process, SteadyClock, utc_now
from runtime.resources.database import DatabaseResources
from runtime.settings import Settings, SettingsError

WAITS_OF_A_REQUEST = 4


@asynccontextmanager
async def open_venue(process: Process, database: DatabaseResources) -> AsyncIterator[AlpacaVenue]:
    """Open the client of the venue's REST API, under the rate limit that all processes share."""
    limiter = SharedRateLimiter(
        PostgresRateBudgetStore(database.database, key=_budget_key(process.settings), venue=AlpacaVenue.name),
        database.breaker,
        policy=_rate_limit_policy(process.settings),
        telemetry=process.telemetry,
    )
    async with open_alpaca_venue(
        alpaca_settings(process.settings),
        installation=database.installation,
        clock=utc_now,
        telemetry=process.telemetry,
        limiter=limiter,
        venue_clock=MeasuredVenueClock(
            wall=utc_now,
            steady=SteadyClock(),
            telemetry=process.telemetry,
            skew_max=timedelta(seconds=process.settings.alert_clock_skew_seconds),
        ),
    ) as venue:
        yield crashing(venue, process.settings.crash_at)


def alpaca_settings(settings: Settings) -> AlpacaSettings:
    """Return how to reach the venue. Raise SettingsError for a file of authorities that cannot be used."""
    proxy = settings.exchange_proxy
    if settings.exchange_ca_file is not None:
        _check_authorities(settings.exchange_ca_file)
    return AlpacaSettings(
        url=settings.exchange_url,
        stream_url=settings.exchange_stream_url,
        key=settings.exchange_key.get_secret_value(),
        secret=settings.exchange_secret.get_secret_value(),
        ca_file=settings.exchange_ca_file,
        proxy=None if proxy is None else proxy.get_secret_value(),
        connect_timeout_seconds=settings.exchange_connect_timeout_seconds,
        request_timeout_seconds=settings.placement_timeout_seconds,
        connections_max=settings.exchange_connections_max,
    )


def _check_authorities(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise SettingsError(f"EXCHANGE_CA_FILE: {path} cannot be used: {error.strerror}") from error


def _budget_key(settings: Settings) -> str:
    """Return the name of the shared budget: the venue counts by key, and the key itself must not be in a table."""
    key = f"{settings.exchange_url} {settings.exchange_key.get_secret_value()}"
    return f"{AlpacaVenue.name} {hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _rate_limit_policy(settings: Settings) -> RateLimitPolicy:
    """Return the shares, and the longest wait of each class: under an order's lease for a quarter of a request's
    time, so that the lease still covers two look-ups and a submission.
    """
    brief = timedelta(seconds=settings.placement_timeout_seconds / WAITS_OF_A_REQUEST)
    return RateLimitPolicy(
        window_seconds=settings.exchange_rate_window_seconds,
        shares=settings.rate_shares,
        waits={
            **dict.fromkeys(RequestPriority, brief),
            RequestPriority.CATCH_UP: timedelta(seconds=settings.exchange_rate_catch_up_wait_seconds),
        },
    )
