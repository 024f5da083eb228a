"""The floor of reading: only the SQL, on the same number of connections as the API, from a task for each client."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import uvloop

from benchmarks.load.obeying import obey

CONNECTIONS = 10
STATEMENTS = {
    "order": "SELECT * FROM orders WHERE id = $1::text::uuid AND account_id = $2",
    "page": "SELECT * FROM orders WHERE account_id = $1 ORDER BY created_at DESC, id DESC LIMIT 51",
}


async def read(*, url: str, statement: str, arguments: list[list[str]], at_once: int, seconds: float) -> dict[str, Any]:
    """Run the statement with the arguments in turn for that long; return the executions per second."""
    given = itertools.cycle(arguments)
    async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        until = time.perf_counter() + seconds
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(_read_some(pool, STATEMENTS[statement], given, until)) for _ in range(at_once)]
        return {"rate": sum(task.result() for task in running) / seconds}


async def _read_some(pool: Any, statement: str, given: Iterator[list[str]], until: float) -> int:  # noqa: ANN401  # asyncpg's pool has no public type to name.
    count = 0
    while time.perf_counter() < until:
        rows = await pool.fetch(statement, *next(given))
        if not rows:
            raise LookupError("the statement found nothing")
        count += 1
    return count


if __name__ == "__main__":
    uvloop.run(obey({"read": read}))
