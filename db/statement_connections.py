"""Connections reserved for the hot statements.

Checking a connection of SQLAlchemy's pool out and in again costs more than the smallest statement itself. So a few are
checked out once, and stay checked out while they work.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class FetchingConnection:
    """A connection of the pool, used without SQLAlchemy."""

    pooled: AsyncConnection
    driver: "asyncpg.Connection[asyncpg.Record]"

    @classmethod
    async def of(cls, pooled: AsyncConnection) -> "FetchingConnection":
        """Return the driver's connection of a checked out one."""
        driver = (await pooled.get_raw_connection()).driver_connection
        assert driver is not None  # noqa: S101 - the pool has just connected it
        return cls(pooled, driver)

    async def fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Any]:
        """Return the statement's rows, by asyncpg's own prepared statement."""
        try:
            return await self.driver.fetch(statement, *arguments)
        except asyncpg.ReadOnlySQLTransactionError:
            # After a fail-over this is no longer the primary; the next connection finds the primary.
            self.driver.terminate()
            raise
        except asyncpg.PostgresError:
            raise
        except BaseException:
            # Its state is unknown (a cancelled call, a broken protocol): it must not be used again.
            self.driver.terminate()
            raise


@dataclass(slots=True)
class StatementConnections:
    """At most `connections_max` connections; the most recently used one is used next, since its caches are warm.

    `close_connection` is called with each that is closed and must be returned to the pool.
    """

    connections_max: int
    close_connection: Callable[[FetchingConnection], None]
    _idle: list[FetchingConnection] = field(default_factory=list)
    _count: int = 0
    _waiting: deque[asyncio.Future[FetchingConnection | None]] = field(default_factory=deque)

    def take(self) -> FetchingConnection | None:
        """Return an idle connection that is still open, or None. asyncpg detects its end: no round trip."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.driver.is_closed():
                return connection
            self.release(connection)
        return None

    async def fetch(
        self, connection: FetchingConnection, statement: str, arguments: Sequence[object], *, ends_at: float
    ) -> Sequence[Any]:
        """Return the statement's rows, and release the connection. Raises TimeoutError at `ends_at` (loop time)."""
        try:
            async with asyncio.timeout_at(ends_at):
                return await connection.fetch(statement, arguments)
        finally:
            self.release(connection)

    def wait_for_idle(self, *, within_seconds: float) -> "asyncio.Future[FetchingConnection | None] | None":
        """Return a future of the next connection that is released, or of None when none is in that time.

        Return None instead when more connections may be reserved. A caller that stops waiting must release the
        connection that the future may have received.
        """
        if self._count < self.connections_max:
            return None
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[FetchingConnection | None] = loop.create_future()
        self._waiting.append(waiter)
        timer = loop.call_later(within_seconds, _end, waiter)
        waiter.add_done_callback(lambda _: timer.cancel())
        return waiter

    def release(self, connection: FetchingConnection) -> None:
        """Make the connection available again, or close it when it has ended."""
        if self._count > self.connections_max:
            # The process stops: none is reserved any more, and the pool may be closed already.
            connection.driver.terminate()
        if connection.driver.is_closed():
            self._count -= 1
            self.close_connection(connection)
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def reserve(self, connection: FetchingConnection) -> bool:
        """Reserve a connection that was checked out for one statement; return False when there are enough."""
        if self._count >= self.connections_max:
            return False
        self._count += 1
        self._idle.append(connection)
        return True

    def close(self) -> Sequence[FetchingConnection]:
        """Return all idle connections, for the caller to close. None is reserved any more."""
        self.connections_max = 0
        idle, self._idle = self._idle, []
        return idle


def _end(waiter: "asyncio.Future[FetchingConnection | None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
