"""Calls to PostgreSQL: one statement each, committed as it ends, under a deadline that holds when the server hangs.

Here, and only here, serialisation failures and deadlocks are tried again and failures become the domain's
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

from db.failures import is_unavailability, is_worth_repeating
from db.statement_connections import FetchingConnection, StatementConnections
from domain.model.errors import UnavailableError

REPEATS_MAX = 5
REPEAT_DELAY_MAX_SECONDS = 0.02
TURN_MAX_SECONDS = 0.05
"""How long a read that can wait does so for a kept connection; then it takes the pool's way."""

Result = TypeVar("Result")


class Row(Protocol):
    """One row of an answer: its columns by name."""

    def __getitem__(self, column: str, /) -> Any:  # noqa: ANN401 - a column may hold anything
        """The column's value."""


class Database:
    """Runs statements; see `db.engine.open_database`. Every method raises UnavailableError."""

    def __init__(self, engine: AsyncEngine, *, call_timeout_seconds: float, kept_connections_max: int) -> None:
        self._engine = engine
        self._call_timeout_seconds = call_timeout_seconds
        self._kept = StatementConnections(kept_connections_max)
        self._calls: set[asyncio.Task[Any]] = set()
        self._closings: set[asyncio.Task[Any]] = set()

    async def fetch(self, statement: str, *arguments: object) -> Sequence[Row]:
        """Run one statement with `$1` parameters by asyncpg's own prepared statement, and commit.

        The way of the hot statements. A kept connection is used in the caller's own task, past the pool, which takes
        three times the processor time of the smallest statement.
        """
        return await self._fetch_by(self._next_kept(), statement, arguments, ends_at=self._deadline())

    async def fetch_in_turn(self, statement: str, *arguments: object) -> Sequence[Row]:
        """The same for a read of many rows, which costs this process more than the server.

        More of them at once than there are kept connections would be no faster, only dearer by the way through the
        pool: they wait for each other a while.
        """
        ends_at = self._deadline()
        connection = self._next_kept() or await self._kept_in_turn()
        return await self._fetch_by(connection, statement, arguments, ends_at=ends_at)

    async def select(self, statement: Executable) -> Sequence[Row]:
        """Run one statement of SQLAlchemy Core, and commit."""
        return await self._call(partial(self._select, statement), ends_at=self._deadline())

    async def stop(self) -> None:
        """Cancel what still runs, and wait until all connections are given back."""
        for call in self._calls:
            call.cancel()
        for connection in self._kept.give_up():
            self._close(connection)
        left = self._calls | self._closings
        if left:
            await asyncio.wait(left, timeout=self._call_timeout_seconds)

    async def _fetch_by(
        self, connection: FetchingConnection | None, statement: str, arguments: Sequence[object], *, ends_at: float
    ) -> Sequence[Row]:
        """By a kept connection, if there is one; else, or when it is worth repeating, by one of the pool."""
        if connection is not None:
            try:
                async with asyncio.timeout_at(ends_at):
                    return await connection.fetch(statement, arguments)
            except Exception as error:
                # A time-out is an OSError, and so among these.
                if not is_worth_repeating(error):
                    if is_unavailability(error):
                        raise UnavailableError from error
                    raise
            finally:
                self._give_back(connection)
        return await self._call(partial(self._fetch, statement, arguments), ends_at=ends_at)

    async def _fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Row]:
        async with AsyncExitStack() as stack:
            pooled = await stack.enter_async_context(self._engine.connect())
            connection = await FetchingConnection.of(pooled)
            rows = await connection.fetch(statement, arguments)
            if self._kept.adopt(connection):
                stack.pop_all()
            return rows

    async def _select(self, statement: Executable) -> Sequence[Row]:
        async with self._engine.connect() as connection:
            return (await connection.execute(statement)).mappings().all()

    def _next_kept(self) -> FetchingConnection | None:
        """A kept connection that has not ended while nobody used it. asyncpg saw its end at once: no round trip."""
        while (connection := self._kept.take()) is not None and connection.driver.is_closed():
            self._give_back(connection)
        return connection

    async def _kept_in_turn(self) -> FetchingConnection | None:
        turn = self._kept.in_turn(within_seconds=TURN_MAX_SECONDS)
        if turn is None:
            return None
        try:
            connection = await turn
        except asyncio.CancelledError:
            # It may have come at the moment when its caller was cancelled.
            if not turn.cancelled() and (unused := turn.result()) is not None:
                self._give_back(unused)
            raise
        if connection is not None and connection.driver.is_closed():
            self._give_back(connection)
            return None
        return connection

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._call_timeout_seconds

    def _give_back(self, connection: FetchingConnection) -> None:
        if not self._kept.give_back(connection):
            self._close(connection)

    def _close(self, connection: FetchingConnection) -> None:
        # Giving a hung server's connection back to the pool takes seconds, and nobody must wait for it.
        closing = asyncio.create_task(connection.pooled.close())
        self._closings.add(closing)
        closing.add_done_callback(partial(_finished, self._closings))

    async def _call(self, run: Callable[[], Awaitable[Result]], *, ends_at: float) -> Result:
        # A task of its own: giving a hung server's connection back takes seconds, and the caller must not wait for it.
        call = asyncio.create_task(self._repeated(run))
        self._calls.add(call)
        call.add_done_callback(partial(_finished, self._calls))
        left = ends_at - asyncio.get_running_loop().time()
        try:
            await asyncio.wait({call}, timeout=max(left, 0.0))
        finally:
            # Also when the caller itself is cancelled. A call that has ended does not mind.
            in_time = call.done()
            call.cancel()
        if not in_time:
            raise UnavailableError
        try:
            return call.result()
        except Exception as error:
            if is_unavailability(error):
                raise UnavailableError from error
            raise

    async def _repeated(self, run: Callable[[], Awaitable[Result]]) -> Result:
        for _ in range(REPEATS_MAX - 1):
            try:
                return await run()
            except Exception as error:
                if not is_worth_repeating(error):
                    raise
            await asyncio.sleep(random.uniform(0, REPEAT_DELAY_MAX_SECONDS))  # noqa: S311 - spreads rivals, hides nothing
        return await run()


def _finished(running: set[asyncio.Task[Any]], task: asyncio.Task[Any]) -> None:
    running.discard(task)
    if not task.cancelled():
        # Marks the error of a task that nobody waits for any more as seen.
        task.exception()
