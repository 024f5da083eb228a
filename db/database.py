"""Calls to PostgreSQL: one statement each, committed as it ends, under a deadline that applies even if the server
hangs.

Here, and only here, serialization failures and deadlocks are retried, and failures become the domain's
UnavailableError.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine

from db.failures import is_unavailability, is_worth_repeating, unavailable
from db.statement_connections import FetchingConnection, StatementConnections
from domain.model.errors import UnavailableError, UnavailableReason

REPEATS_MAX = 5
REPEAT_DELAY_MAX_SECONDS = 0.02
QUEUE_WAIT_MAX_SECONDS = 0.05
"""How long a queued read waits for a reserved connection before it uses one of the pool."""

WRITE_TEMPORARY_FILE = """
BEGIN READ ONLY; SET LOCAL work_mem = '64kB';
WITH kept AS MATERIALIZED (SELECT repeat(md5(n::text), 64) AS text FROM generate_series(1, 1000) AS n)
SELECT count(*) FROM kept; COMMIT
"""
"""Keeps 2 MB without the memory for it: on the disk of the tables, without a table, and for any role."""

Result = TypeVar("Result")


class Row(Protocol):
    """One row of an answer: its columns by name."""

    def __getitem__(self, column: str, /) -> Any:  # noqa: ANN401 - a column may hold anything
        """Return the column's value."""


class Database:
    """Runs statements; see `db.engine.open_database`. Every method raises UnavailableError."""

    def __init__(self, engine: AsyncEngine, *, call_timeout_seconds: float, reserved_connections_max: int) -> None:
        self._engine = engine
        self._call_timeout_seconds = call_timeout_seconds
        self._reserved = StatementConnections(reserved_connections_max, close_connection=self._close)
        self._calls: set[asyncio.Task[Any]] = set()
        self._closings: set[asyncio.Task[Any]] = set()
        self._disk_was_full = False

    async def fetch(self, statement: str, *arguments: object) -> Sequence[Row]:
        """Run one statement with `$1` parameters by asyncpg's own prepared statement, and commit.

        For the hot statements. A reserved connection is used in the caller's own task and without the pool, which costs
        three times the processor time of the smallest statement.
        """
        return await self._fetch_by(self._reserved.take(), statement, arguments, ends_at=self._deadline())

    async def fetch_queued(self, statement: str, *arguments: object) -> Sequence[Row]:
        """Run a read of many rows, which costs this process more than the server, like `fetch`.

        It waits for a reserved connection for up to QUEUE_WAIT_MAX_SECONDS: more concurrent reads than reserved
        connections would not be faster, and the pool costs more.
        """
        ends_at = self._deadline()
        connection = self._reserved.take() or await self._wait_for_reserved()
        return await self._fetch_by(connection, statement, arguments, ends_at=ends_at)

    async def select(self, statement: Executable) -> Sequence[Row]:
        """Run one statement of SQLAlchemy Core, and commit."""
        return await self._call(partial(self._select, statement), ends_at=self._deadline())

    async def require_room(self) -> None:
        """Raise UnavailableError while the server's disk is full, which only a writing statement would detect.

        Then, and only then, the server is tested by writing a temporary file.
        """
        if self._disk_was_full:
            await self._call(self._write_temporarily, ends_at=self._deadline())
            self._disk_was_full = False

    async def stop(self) -> None:
        """Cancel the running calls, and wait until all connections are closed."""
        for call in self._calls:
            call.cancel()
        for connection in self._reserved.close():
            self._close(connection)
        left = self._calls | self._closings
        if left:
            await asyncio.wait(left, timeout=self._call_timeout_seconds)

    async def _fetch_by(
        self, connection: FetchingConnection | None, statement: str, arguments: Sequence[object], *, ends_at: float
    ) -> Sequence[Row]:
        """Run the statement on a reserved connection, if there is one; else, or to repeat it, on one of the pool."""
        if connection is not None:
            try:
                return await self._reserved.fetch(connection, statement, arguments, ends_at=ends_at)
            except Exception as error:
                if isinstance(error, TimeoutError):
                    raise unavailable(None) from error
                if not is_worth_repeating(error):
                    if is_unavailability(error):
                        raise self._unavailable(error) from error
                    raise
        return await self._call(partial(self._fetch, statement, arguments), ends_at=ends_at)

    async def _fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Row]:
        async with AsyncExitStack() as stack:
            pooled = await stack.enter_async_context(self._engine.connect())
            connection = await FetchingConnection.of(pooled)
            rows = await connection.fetch(statement, arguments)
            if self._reserved.reserve(connection):
                stack.pop_all()
            return rows

    async def _select(self, statement: Executable) -> Sequence[Row]:
        async with self._engine.connect() as connection:
            return (await connection.execute(statement)).mappings().all()

    async def _write_temporarily(self) -> None:
        async with self._engine.connect() as pooled:
            connection = await FetchingConnection.of(pooled)
            try:
                await connection.driver.execute(WRITE_TEMPORARY_FILE)
            except BaseException:
                connection.driver.terminate()  # It is in the middle of a transaction.
                raise

    async def _wait_for_reserved(self) -> FetchingConnection | None:
        waiter = self._reserved.wait_for_idle(within_seconds=QUEUE_WAIT_MAX_SECONDS)
        if waiter is None:
            return None
        try:
            connection = await waiter
        except asyncio.CancelledError:
            # The connection may have been assigned at the moment when its caller was cancelled.
            if not waiter.cancelled() and (unused := waiter.result()) is not None:
                self._reserved.release(unused)
            raise
        if connection is not None and connection.driver.is_closed():
            self._reserved.release(connection)
            return None
        return connection

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._call_timeout_seconds

    def _close(self, connection: FetchingConnection) -> None:
        # Returning a hung server's connection to the pool takes seconds; no caller may wait for that.
        closing = asyncio.create_task(connection.pooled.close())
        self._closings.add(closing)
        closing.add_done_callback(partial(_finished, self._closings))

    async def _call(self, run: Callable[[], Awaitable[Result]], *, ends_at: float) -> Result:
        # A separate task: returning a hung server's connection takes seconds, and the caller must not wait for that.
        call = asyncio.create_task(self._repeated(run))
        self._calls.add(call)
        call.add_done_callback(partial(_finished, self._calls))
        left = ends_at - asyncio.get_running_loop().time()
        try:
            await asyncio.wait({call}, timeout=max(left, 0.0))
        finally:
            # Also when the caller itself is cancelled. Canceling a finished call has no effect.
            in_time = call.done()
            call.cancel()
        if not in_time:
            raise unavailable(None)
        try:
            return call.result()
        except Exception as error:
            if is_unavailability(error):
                raise self._unavailable(error) from error
            raise

    def _unavailable(self, error: Exception) -> UnavailableError:
        refusal = unavailable(error)
        if refusal.reason is UnavailableReason.DISK_FULL:
            self._disk_was_full = True
        return refusal

    async def _repeated(self, run: Callable[[], Awaitable[Result]]) -> Result:
        for _ in range(REPEATS_MAX - 1):
            try:
                return await run()
            except Exception as error:
                if not is_worth_repeating(error):
                    raise
            await asyncio.sleep(random.uniform(0, REPEAT_DELAY_MAX_SECONDS))  # noqa: S311 - spreads retries, not a secret
        return await run()


def _finished(running: set[asyncio.Task[Any]], task: asyncio.Task[Any]) -> None:
    running.discard(task)
    if not task.cancelled():
        # Marks the error as retrieved, for a task that is no longer awaited.
        task.exception()
