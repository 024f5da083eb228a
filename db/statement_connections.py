"""The connections that the hot statements keep to themselves.

To check a connection of SQLAlchemy's pool out and in again costs more than the smallest statement itself: a few are
checked out once, and stay so for as long as they work.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class FetchingConnection:
    """A connection of the pool, used past SQLAlchemy."""

    pooled: AsyncConnection
    driver: "asyncpg.Connection[asyncpg.Record]"

    @classmethod
    async def of(cls, pooled: AsyncConnection) -> "FetchingConnection":
        """That of a connection that is checked out."""
        driver = (await pooled.get_raw_connection()).driver_connection
        assert driver is not None  # noqa: S101 - the pool has just connected it
        return cls(pooled, driver)

    async def fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Any]:
        """The statement's rows, by asyncpg's own prepared statement."""
        try:
            return await self.driver.fetch(statement, *arguments)
        except asyncpg.PostgresError:
            raise
        except BaseException:
            # Its state is unknown (a cancelled call, a broken protocol): nobody may get this connection again.
            self.driver.terminate()
            raise


@dataclass(slots=True)
class StatementConnections:
    """At most so many; the one that was used last is used next, since it is warm."""

    connections_max: int
    _idle: list[FetchingConnection] = field(default_factory=list)
    _count: int = 0
    _waiting: deque[asyncio.Future[FetchingConnection | None]] = field(default_factory=deque)

    def take(self) -> FetchingConnection | None:
        """One that nobody uses, or None."""
        return self._idle.pop() if self._idle else None

    def in_turn(self, *, within_seconds: float) -> "asyncio.Future[FetchingConnection | None] | None":
        """The next that is given back, or None when none is in that time; no future when more may be kept.

        Whoever does not wait to its end has to give back what it brought meanwhile.
        """
        if self._count < self.connections_max:
            return None
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[FetchingConnection | None] = loop.create_future()
        self._waiting.append(turn)
        patience = loop.call_later(within_seconds, _end, turn)
        turn.add_done_callback(lambda _: patience.cancel())
        return turn

    def give_back(self, connection: FetchingConnection) -> bool:
        """Keep it for the next; False when it has ended, and is to be given back to the pool instead."""
        if self._count > self.connections_max:
            # The process stops: none is kept any more, and the pool may be gone already.
            connection.driver.terminate()
        if connection.driver.is_closed():
            self._count -= 1
            return False
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        self._idle.append(connection)
        return True

    def adopt(self, connection: FetchingConnection) -> bool:
        """Keep one that was checked out for a single statement; False when there are enough."""
        if self._count >= self.connections_max:
            return False
        self._count += 1
        self._idle.append(connection)
        return True

    def give_up(self) -> Sequence[FetchingConnection]:
        """All that nobody uses. None is kept any more."""
        self.connections_max = 0
        idle, self._idle = self._idle, []
        return idle


def _end(turn: "asyncio.Future[FetchingConnection | None]") -> None:
    if not turn.done():
        turn.set_result(None)
