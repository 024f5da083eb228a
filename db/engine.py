"""Opens the database: an engine over asyncpg whose every connection has the same limits, and closes it again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import orjson
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db.database import Database
from db.session_limits import SessionLimits

CLOSE_TIMEOUT_SECONDS = 2.0
RESERVED_SHARE = 2
"""One half of the pool may be reserved for the hot statements; the other half is for all other statements."""


@asynccontextmanager
async def open_database(
    url: str,
    *,
    application_name: str,
    pool_max_connections: int = 10,
    connect_timeout_seconds: float = 1.0,
    call_timeout_seconds: float = 1.8,
    statement_timeout_seconds: float = 5.0,
    lock_timeout_seconds: float = 1.5,
    idle_in_transaction_timeout_seconds: float = 10.0,
) -> AsyncIterator[Database]:
    """The database at a plain `postgresql://` URL (asyncpg's dialect of it: `sslmode` and the like work).

    Nothing is connected until it is used, so this never fails because PostgreSQL is away. `call_timeout_seconds` bounds
    a whole call with its wait for a connection; the statement's, lock's and transaction's limits hold at the server,
    where the role may set shorter ones (`db.session_limits`).
    """
    limits = SessionLimits(
        statement_timeout_seconds=statement_timeout_seconds,
        lock_timeout_seconds=lock_timeout_seconds,
        idle_in_transaction_timeout_seconds=idle_in_transaction_timeout_seconds,
    )
    engine = _engine(
        url,
        application_name=application_name,
        limits=limits,
        pool_max_connections=pool_max_connections,
        connect_timeout_seconds=connect_timeout_seconds,
        pool_timeout_seconds=call_timeout_seconds,
    )
    database = Database(
        engine,
        call_timeout_seconds=call_timeout_seconds,
        reserved_connections_max=pool_max_connections // RESERVED_SHARE,
    )
    try:
        yield database
    finally:
        await database.stop()
        # A server that hangs would never say goodbye; asyncpg cuts the connection when it is not waited for.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await engine.dispose()


def _engine(
    url: str,
    *,
    application_name: str,
    limits: SessionLimits,
    pool_max_connections: int,
    connect_timeout_seconds: float,
    pool_timeout_seconds: float,
) -> AsyncEngine:
    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        # Poolers refuse other settings at the start of a session, or drop them silently.
        settings = {"application_name": application_name}
        async with asyncio.timeout(connect_timeout_seconds):
            connection = await asyncpg.connect(url, timeout=connect_timeout_seconds, server_settings=settings)
            try:
                await connection.execute(limits.ensuring)
            except BaseException:
                connection.terminate()
                raise
        return connection

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        json_deserializer=orjson.loads,
        # Every statement of ours is a transaction of its own: no BEGIN and COMMIT around it, one round trip.
        isolation_level="AUTOCOMMIT",
        pool_size=pool_max_connections,
        max_overflow=0,
        pool_timeout=pool_timeout_seconds,
        # The connection used last is warm: its statements are prepared, its process at the server is in the caches.
        pool_use_lifo=True,
    )
    event.listen(engine.sync_engine, "checkout", _require_open)
    return engine


def _require_open(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - SQLAlchemy's own hook
    """Replace a connection that died in the pool. asyncpg saw its end at once: no ping, no round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
