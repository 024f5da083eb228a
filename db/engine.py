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
    statement_cache_statements: int = STATEMENT_CACHE_STATEMENTS,
) -> AsyncIterator[Database]:
    """Open the database at a URL in the form of `db.address`. Raise AddressError for an invalid one.

    No connection is made until the first use, so this never fails because PostgreSQL is unreachable.
    `call_timeout_seconds` bounds a whole call with its wait for a connection; the statement's, lock's and transaction's
    limits are enforced by the server, where the role may set shorter ones (`db.session_limits`). With 0 for
    `statement_cache_statements` no statement stays prepared, for a pooler that does not support them (PgBouncer before
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
    engine = _engine(connector, pool_max_connections=pool_max_connections, pool_timeout_seconds=call_timeout_seconds)
    database = Database(
        engine,
        call_timeout_seconds=call_timeout_seconds,
        reserved_connections_max=pool_max_connections // RESERVED_SHARE,
    )
    try:
        yield database
    finally:
        await database.stop()
        # A hung server would never close the connection; asyncpg closes it without waiting.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await engine.dispose()


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
