"""The physical floor of accepting: HTTP, and one INSERT that is on the disk before the answer; no token, no GraphQL.

Requests that wait at the same time share one INSERT. With one client each has one of its own.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uuid_utils.compat import uuid7

from benchmarks.floors.serving import HEALTH, serve

ANSWER = os.environ["ANSWER"].encode()
TABLE = "CREATE TABLE IF NOT EXISTS floor_orders (id uuid PRIMARY KEY, request text NOT NULL)"
INSERT = "INSERT INTO floor_orders SELECT * FROM unnest($1::uuid[], $2::text[])"


class Inserter:
    """Inserts all that waits, one statement at a time, on one connection."""

    def __init__(self) -> None:
        self._waiting: list[tuple[UUID, str, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()

    async def insert(self, request: str) -> None:
        """Return when the request is stored."""
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((uuid7(), request, stored))
        self._arrived.set()
        await stored

    async def run(self) -> None:
        """Insert until cancelled."""
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        await connection.execute(TABLE)
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            batch, self._waiting = self._waiting, []
            await connection.execute(INSERT, [one for one, _, _ in batch], [text for _, text, _ in batch])
            for _, _, stored in batch:
                if not stored.done():
                    stored.set_result(None)


inserter = Inserter()


async def answer(request: Request) -> Response:
    """Store the request, and return the same bytes every time."""
    await inserter.insert((await request.body()).decode())
    return Response(ANSWER, media_type="application/json")


@asynccontextmanager
async def inserting(_application: Starlette) -> AsyncIterator[None]:
    """Insert while the application serves."""
    task = asyncio.create_task(inserter.run())
    yield
    task.cancel()


if __name__ == "__main__":
    serve(Starlette(routes=[HEALTH, Route("/graphql", answer, methods=["POST"])], lifespan=inserting))
