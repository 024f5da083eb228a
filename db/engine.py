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

from db.address import read_address
from db.connector import STATEMENT_CACHE_STATEMENTS, Connector
from db.database import Database, StatementPool
from db.session_limits import SessionLimits

CLOSE_TIMEOUT_SECONDS = 2.0
QUERIES_UNLIMITED = 2**62
"""A connection is not replaced because of its age."""
CONNECTIONS_MIN = 2
"""One for SQLAlchemy's statements, one for all others: each has half of the connections."""


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
    statement_cache_statements: int = STATEMENT_CACHE_STATEMENTS,
) -> AsyncIterator[Database]:
    """Open the database at a URL in the form of `db.address`. Raise AddressError for an invalid one.

    Nothing is connected until it is used, so this never fails because PostgreSQL is away. `pool_max_connections` are
    CONNECTIONS_MIN at least. `call_timeout_seconds` bounds a whole call with its wait for a connection;
    the limits of statements, locks and transactions hold at the server, where the role may set shorter ones. With
    0 for `statement_cache_statements` no statement stays prepared, for a pooler that forgets them (PgBouncer before
    1.21).
    """
    limits = SessionLimits(
        statement_timeout_seconds=statement_timeout_seconds,
        lock_timeout_seconds=lock_timeout_seconds,
        idle_in_transaction_timeout_seconds=idle_in_transaction_timeout_seconds,
    )
    connector = Connector(
        read_address(url),
        timeout_seconds=connect_timeout_seconds,
        application_name=application_name,
        first_statement=limits.ensuring,
        statement_cache_statements=statement_cache_statements,
    )
    engine_connections = pool_max_connections // CONNECTIONS_MIN
    pool_connections = pool_max_connections - engine_connections
    engine = _engine(connector, pool_max_connections=engine_connections, pool_timeout_seconds=call_timeout_seconds)
    pool = await _pool(connector, max_connections=pool_connections)
    database = Database(
        engine, pool, call_timeout_seconds=call_timeout_seconds, queued_reads_max=max(1, pool_connections - 1)
    )
    try:
        yield database
    finally:
        await database.stop()
        # A hung server would never close the connection; asyncpg closes it without waiting.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await asyncio.gather(pool.close(), engine.dispose())


async def _pool(connector: Connector, *, max_connections: int) -> StatementPool:
    async def connect(*_: object, **_options: object) -> "asyncpg.Connection[asyncpg.Record]":
        return await connector.connect()

    async def read_json(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        for kind in ("json", "jsonb"):
            await connection.set_type_codec(kind, schema="pg_catalog", encoder=str, decoder=orjson.loads, format="text")

    async def leave(_connection: object) -> None:
        """Reset nothing: every statement is a transaction of its own and changes nothing of its session."""

    return await asyncpg.create_pool(
        connect=connect,
        init=read_json,
        reset=leave,
        min_size=0,
        max_size=max_connections,
        max_queries=QUERIES_UNLIMITED,
        max_inactive_connection_lifetime=0,
    )


def _engine(connector: Connector, *, pool_max_connections: int, pool_timeout_seconds: float) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connector.connect,
        connect_args=_prepared_statements(connector),
        json_deserializer=orjson.loads,
        # Every statement of ours is a separate transaction: no BEGIN and COMMIT around it, one round trip.
        isolation_level="AUTOCOMMIT",
        pool_size=pool_max_connections,
        max_overflow=0,
        pool_timeout=pool_timeout_seconds,
        # The connection used last is warm: its statements are prepared, its process at the server is in the caches.
        pool_use_lifo=True,
    )
    event.listen(engine.sync_engine, "checkout", _require_open)
    return engine


def _prepared_statements(connector: Connector) -> dict[str, Any]:
    """Return the dialect's arguments: it names and caches its own statements, in addition to the driver's."""
    if connector.statement_cache_statements:
        return {}
    # A statement without a name is parsed again with each use, in one message, so any server connection can run it.
    return {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}


def _require_open(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - SQLAlchemy's own hook
    """Replace a connection that was closed in the pool. asyncpg detected its end immediately: no ping, no round
    trip.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError
