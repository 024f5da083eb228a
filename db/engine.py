"""Opens the database: an engine over asyncpg whose every connection has the same limits, and closes it again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db.address import read_address
from db.connector import STATEMENT_CACHE_STATEMENTS, Connector
from db.database import QUEUE_WAIT_MAX_SECONDS, Database
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
    statement_cache_statements: int = STATEMENT_CACHE_STATEMENTS,
    queue_wait_max_seconds: float = QUEUE_WAIT_MAX_SECONDS,
) -> AsyncIterator[Database]:
    """The database at a URL that `db.address` reads. Raise AddressError for one that it cannot.

    Nothing is connected until it is used, so this never fails because PostgreSQL is away. `call_timeout_seconds` bounds
    a whole call with its wait for a connection; the statement's, lock's and transaction's limits hold at the server,
    where the role may set shorter ones (`db.session_limits`). With 0 for `statement_cache_statements` no statement
    stays prepared, for a pooler that forgets them (PgBouncer before 1.21).
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
    engine = _engine(connector, pool_max_connections=pool_max_connections, pool_timeout_seconds=call_timeout_seconds)
    database = Database(
        engine,
        call_timeout_seconds=call_timeout_seconds,
        reserved_connections_max=pool_max_connections // RESERVED_SHARE,
        queue_wait_max_seconds=queue_wait_max_seconds,
    )
    try:
        yield database
    finally:
        await database.stop()
        # A server that hangs would never say goodbye; asyncpg cuts the connection when it is not waited for.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await engine.dispose()


def _engine(connector: Connector, *, pool_max_connections: int, pool_timeout_seconds: float) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connector.connect,
        connect_args=_prepared_statements(connector),
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


def _prepared_statements(connector: Connector) -> dict[str, Any]:
    """Return the dialect's arguments: it names and keeps statements of its own, beside the driver's."""
    if connector.statement_cache_statements:
        return {}
    # A statement without a name is parsed again with each use, as one message: whoever answers knows it.
    return {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}


def _require_open(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - SQLAlchemy's own hook
    """Replace a connection that died in the pool. asyncpg saw its end at once: no ping, no round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
