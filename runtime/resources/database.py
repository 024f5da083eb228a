"""Opens what processes work with, each with `async with`.

This is the one place where ports meet their adapters. A process head opens what it needs on one exit stack, so that a
half-opened thing does not exist and everything closes in the reverse order.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import ceil
from socket import gaierror

from redis.asyncio import Redis
from redis.exceptions import RedisError
from saq.queue.redis import RedisQueue

from broadcast.publisher import RedisPublisher, open_publisher
from broadcast.settings import PublisherSettings
from db.account_limits import PostgresLimitBook
from db.breaker_store import PostgresBreakerStore
from db.change_log import PostgresChangeLog
from db.database import Database as Engine
from db.dead_letters import PostgresDeadLetters
from db.engine import open_database as open_engine
from db.instrument_catalog import PostgresInstrumentCatalog
from db.instrument_prices import PostgresInstrumentPrices
from db.order_reader import PostgresOrderReader
from db.order_store import PostgresOrderStore
from db.readiness import DatabaseNotReadyError, Trouble, require_ready
from db.stream_positions import PostgresLeadershipLease, PostgresStreamPositions
from db.trading_halts import PostgresTradingHalts
from db.waiting_orders import PostgresWaitingOrders
from domain.services.price_tape import PriceTapeWriter
from domain.services.submission import longest_job
from exchange.alpaca.rest import AlpacaVenue, open_alpaca_venue
from exchange.alpaca.settings import AlpacaSettings
from jobs.queue import open_queue
from jobs.wake_ups import SaqWakeUps
from runtime.observability.health import NotReadyError
from runtime.processes.crash_points import crashing
from runtime.processes.lifecycle import Process, utc_now
from runtime.settings import Settings, SettingsError

QUEUE_CONNECT_TIMEOUT_SECONDS = 2.0
QUEUE_HEALTH_CHECK_SECONDS = 15
QUEUE_SOCKET_MARGIN_SECONDS = 10.0
QUEUE_OTHER_CONNECTIONS_MAX = 32
REDIS_CHECK_TIMEOUT_SECONDS = 1.0
JOB_MARGIN_SECONDS = 5
"""For writing down what was found out: SAQ cuts a job that takes longer, whatever it is about to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Everything that is kept in PostgreSQL."""

    orders: PostgresOrderStore
    reader: PostgresOrderReader
    changes: PostgresChangeLog
    catalog: PostgresInstrumentCatalog
    positions: PostgresStreamPositions
    leadership: PostgresLeadershipLease
    dead_letters: PostgresDeadLetters
    gate: PostgresBreakerStore
    waiting: PostgresWaitingOrders
    limit_book: PostgresLimitBook
    prices: PostgresInstrumentPrices
    tape: PriceTapeWriter
    halts: PostgresTradingHalts
    engine: Engine

    async def check(self) -> None:
        """Raises NotReadyError when it does not answer, or has not our tables."""
        try:
            await require_ready(self.engine)
        except DatabaseNotReadyError as error:
            raise NotReadyError(error.trouble, str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What a process tells others with: wake-ups to workers, changes to the API processes."""

    queue: RedisQueue
    redis: Redis
    wake_ups: SaqWakeUps
    publisher: RedisPublisher

    async def check(self) -> None:
        """Raises NotReadyError when Redis does not answer."""
        try:
            async with asyncio.timeout(REDIS_CHECK_TIMEOUT_SECONDS):
                await self.redis.ping()  # type: ignore[misc] # redis types its async commands as perhaps synchronous
        except (RedisError, OSError) as error:
            raise NotReadyError(
                "unreachable", f"Redis cannot be reached: {error!r}. Start it, or mend REDIS_URL."
            ) from error


@asynccontextmanager
async def open_database(process: Process) -> AsyncIterator[Database]:
    """The database. It opens also while PostgreSQL is down: its calls raise Unavailable then.

    Raises SettingsError when DATABASE_URL leads nowhere or is refused, DatabaseNotReadyError when the tables are not
    there or too old.
    """
    settings = process.settings
    async with open_engine(
        settings.database_address,
        application_name=f"fillwire {process.name} {os.getpid()}",  # Which process it is, among several of its kind.
        pool_max_connections=settings.database_pool_connections_max,
        connect_timeout_seconds=settings.database_connect_timeout_seconds,
        call_timeout_seconds=settings.database_call_timeout_seconds,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
        lock_timeout_seconds=settings.database_lock_timeout_seconds,
    ) as database:
        await _require_usable(database, process)
        orders = PostgresOrderStore(
            database,
            venue=AlpacaVenue.name,
            telemetry=process.telemetry,
            accept_batch_max_orders=settings.accept_batch_orders_max,
            accept_queue_max_orders=settings.accept_waiting_orders_max,
            max_orders_per_second=settings.orders_per_second_max or None,
        )
        prices = PostgresInstrumentPrices(database, cache_seconds=settings.limits_cache_seconds)
        yield Database(
            orders=crashing(orders, settings.crash_at),
            reader=PostgresOrderReader(database),
            changes=PostgresChangeLog(database),
            catalog=PostgresInstrumentCatalog(database, cache_seconds=settings.instrument_cache_seconds),
            positions=PostgresStreamPositions(database),
            leadership=PostgresLeadershipLease(database),
            dead_letters=PostgresDeadLetters(database),
            gate=PostgresBreakerStore(database, AlpacaVenue.name),
            waiting=PostgresWaitingOrders(database),
            limit_book=PostgresLimitBook(database, cache_seconds=settings.limits_cache_seconds),
            prices=prices,
            tape=PriceTapeWriter(
                prices, every_seconds=settings.prices_saved_every_seconds, telemetry=process.telemetry
            ),
            halts=PostgresTradingHalts(database),
            engine=database,
        )


async def _require_usable(database: Engine, process: Process) -> None:
    """What only a person can mend ends the process; for what may pass by itself it waits as in any outage."""
    try:
        await require_ready(database)
    except DatabaseNotReadyError as error:
        if error.trouble is Trouble.NOT_MIGRATED:
            raise
        if error.trouble is Trouble.LOGIN_REFUSED or isinstance(error.__cause__, gaierror):
            raise SettingsError(str(error)) from error
        process.telemetry.warning("database_not_ready", error=str(error), next="starts all the same, and waits for it")


@asynccontextmanager
async def open_venue(process: Process) -> AsyncIterator[AlpacaVenue]:
    """The exchange by request and answer."""
    async with open_alpaca_venue(
        alpaca_settings(process.settings), clock=utc_now, telemetry=process.telemetry
    ) as venue:
        yield crashing(venue, process.settings.crash_at)


@asynccontextmanager
async def open_signals(process: Process, *, publish_pause_seconds: float = 0.0) -> AsyncIterator[Signals]:
    """Wake-ups and publishing, with the tasks that send them. They open also while Redis is down."""
    settings = process.settings
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(_queue_redis(settings))
        queue = open_queue(redis)
        wake_ups = SaqWakeUps(
            queue,
            process.telemetry,
            enqueue_timeout_seconds=settings.wake_up_timeout_seconds,
            job_timeout_seconds=ceil(longest_job(settings.placement_lease).total_seconds()) + JOB_MARGIN_SECONDS,
        )
        publisher = await stack.enter_async_context(
            open_publisher(
                settings.redis_address,
                settings=PublisherSettings(
                    buffer_max_changes=settings.publish_waiting_changes_max,
                    send_timeout_seconds=settings.publish_timeout_seconds,
                    pause_seconds=publish_pause_seconds,
                ),
                telemetry=process.telemetry,
            )
        )
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        sending = tasks.create_task(wake_ups.run(), name="wake-ups")
        stack.callback(sending.cancel)
        stack.push_async_callback(wake_ups.flush)
        yield Signals(
            queue=queue,
            redis=redis,
            wake_ups=crashing(wake_ups, settings.crash_at),
            publisher=crashing(publisher, settings.crash_at),
        )


def alpaca_settings(settings: Settings) -> AlpacaSettings:
    """How to reach the exchange."""
    return AlpacaSettings(
        url=settings.exchange_url,
        stream_url=settings.exchange_stream_url,
        key=settings.exchange_key.get_secret_value(),
        secret=settings.exchange_secret.get_secret_value(),
        connect_timeout_seconds=settings.exchange_connect_timeout_seconds,
        request_timeout_seconds=settings.placement_timeout_seconds,
        connections_max=settings.exchange_connections_max,
    )


def _queue_redis(settings: Settings) -> Redis:
    return Redis.from_url(
        settings.redis_address,
        # SAQ blocks on it for its dequeue time-out; a shorter socket time-out would cut that off.
        socket_timeout=settings.worker_dequeue_timeout_seconds + QUEUE_SOCKET_MARGIN_SECONDS,
        socket_connect_timeout=QUEUE_CONNECT_TIMEOUT_SECONDS,
        socket_keepalive=True,
        health_check_interval=QUEUE_HEALTH_CHECK_SECONDS,
        max_connections=settings.worker_jobs_at_once + QUEUE_OTHER_CONNECTIONS_MAX,
    )
