"""Calls to PostgreSQL: one statement each, committed as it ends, under a deadline that applies even if the server
hangs.

Here, and only here, serialization failures and deadlocks are retried, and failures become the domain's
UnavailableError.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

import asyncpg
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine

from db.failures import is_unavailability, is_worth_repeating, unavailable
from domain.model.errors import UnavailableError, UnavailableReason

REPEATS_MAX = 5
REPEAT_DELAY_MAX_SECONDS = 0.02

WRITE_TEMPORARY_FILE = """
BEGIN READ ONLY; SET LOCAL work_mem = '64kB';
WITH kept AS MATERIALIZED (SELECT repeat(md5(n::text), 64) AS text FROM generate_series(1, 1000) AS n)
SELECT count(*) FROM kept; COMMIT
"""
"""Keeps 2 MB without the memory for it: on the disk of the tables, without a table, and for any role."""

Result = TypeVar("Result")
StatementPool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Row(Protocol):
    """One row of an answer: its columns by name."""

    def __getitem__(self, column: str, /) -> Any:  # noqa: ANN401 - a column may hold anything
        """Return the column's value."""


class Database:
    """Runs statements; see `db.engine.open_database`. Every method raises UnavailableError."""

    def __init__(
        self, engine: AsyncEngine, pool: StatementPool, *, call_timeout_seconds: float, queued_reads_max: int
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._call_timeout_seconds = call_timeout_seconds
        self._queued_reads = asyncio.Semaphore(queued_reads_max)
        self._calls: set[asyncio.Task[Any]] = set()
        self._disk_was_full = False

    async def fetch(self, statement: str, *arguments: object) -> Sequence[Row]:
        """Run one statement with `$1` parameters by asyncpg's own pool and prepared statement, and commit."""
        return await self._in_time(self._repeated(partial(self._fetch, statement, arguments)))

    async def fetch_queued(self, statement: str, *arguments: object) -> Sequence[Row]:
        """Run a read of many rows, which costs this process more than the server, like `fetch`.

        Only some run at once: more would not be faster, and other statements would wait for a connection behind them.
        """
        return await self._in_time(self._fetch_queued(statement, arguments))

    async def select(self, statement: Executable) -> Sequence[Row]:
        """Run one statement of SQLAlchemy Core, and commit."""
        return await self._call(partial(self._select, statement))

    async def require_room(self) -> None:
        """Raise UnavailableError while the server's disk is full, which only a writing statement would detect.

        Then, and only then, the server is tested by writing a temporary file.
        """
        if self._disk_was_full:
            await self._in_time(self._write_temporarily())
            self._disk_was_full = False

    async def stop(self) -> None:
        """Cancel the running calls of SQLAlchemy, and wait until they have ended."""
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=self._call_timeout_seconds)

    async def _in_time(self, call: Awaitable[Result]) -> Result:
        """Return the result of a call of asyncpg's pool, within the deadline."""
        timeout = asyncio.timeout(self._call_timeout_seconds)
        try:
            async with timeout:
                return await call
        except Exception as error:
            if timeout.expired():
                raise unavailable(None) from error
            if is_unavailability(error):
                raise self._unavailable(error) from error
            raise

    async def _fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Row]:
        async with self._pool.acquire() as connection:
            try:
                return await connection.fetch(statement, *arguments)
            except asyncpg.ReadOnlySQLTransactionError:
                # After a fail-over this is no longer the primary; the next connection finds out which server is.
                connection.terminate()
                raise
            except asyncpg.PostgresError:
                raise
            except BaseException:
                # Its state is unknown (a cancelled call, a broken protocol), and to end it properly may take long.
                connection.terminate()
                raise

    async def _fetch_queued(self, statement: str, arguments: Sequence[object]) -> Sequence[Row]:
        async with self._queued_reads:
            return await self._repeated(partial(self._fetch, statement, arguments))

    async def _select(self, statement: Executable) -> Sequence[Row]:
        async with self._engine.connect() as connection:
            return (await connection.execute(statement)).mappings().all()

    async def _write_temporarily(self) -> None:
        async with self._pool.acquire() as connection:
            try:
                await connection.execute(WRITE_TEMPORARY_FILE)
            except BaseException:
                connection.terminate()  # It is in the middle of a transaction.
                raise

    async def _call(self, run: Callable[[], Awaitable[Result]]) -> Result:
        # A task of its own: returning a hung server's connection takes seconds, and the caller must not wait for that.
        call = asyncio.create_task(self._repeated(run))
        self._calls.add(call)
        call.add_done_callback(partial(_finished, self._calls))
        try:
            await asyncio.wait({call}, timeout=self._call_timeout_seconds)
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
