"""Each account's changes have one sequence: no gap, in the order of commits, with any concurrent writers."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import TypeVar

from db.database import Database
from db.engine import open_database
from tests.support.examples import filled
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk

ACCOUNTS = ("a", "b", "c")
WRITERS = 16
ENGINES = 4
GAPS = """
SELECT a.id FROM accounts AS a
LEFT JOIN (
    SELECT c.account_id, count(*) AS n, min(c.sequence) AS first, max(c.sequence) AS last
    FROM order_changes AS c GROUP BY c.account_id
) AS c ON c.account_id = a.id
WHERE NOT (c.first = 1 AND c.last = c.n AND c.last = a.sequence)
"""
WRONG_SUMS = """
SELECT o.id FROM orders AS o
LEFT JOIN (
    SELECT e.order_id, sum(e.fill_quantity) AS filled, sum(e.fill_quantity * e.fill_price) AS notional, count(*) AS n
    FROM executions AS e GROUP BY e.order_id
) AS e ON e.order_id = o.id
WHERE o.filled_quantity <> e.filled OR o.notional <> e.notional OR o.version <> e.n + 1
"""
Item = TypeVar("Item")
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


async def test_sixteen_writers_leave_no_gap_at_any_moment(database_url: str, database: Database, clerk: Clerk) -> None:
    ids = await clerk.store(WRITERS * 3, accounts=ACCOUNTS)
    gaps: list[object] = []
    async with _clerks(database_url) as clerks:

        async def write(number: int) -> None:
            for round_number in range(8):
                mine = ids[number * 3 : number * 3 + 3]
                await clerks[number % ENGINES].record(
                    {one: [filled("1", name=f"{one}-{round_number}")] for one in mine}
                )
                # Read in one snapshot while others write: for every visible change all earlier ones are visible too.
                gaps.extend(await database.fetch(GAPS))

        await asyncio.gather(*(write(number) for number in range(WRITERS)))

    assert gaps == []
    assert (await database.fetch("SELECT count(*) AS n FROM order_changes"))[0]["n"] == WRITERS * 3 * 9
    assert await database.fetch(WRONG_SUMS) == []


async def test_writers_of_the_same_orders_lose_nothing(database_url: str, database: Database, clerk: Clerk) -> None:
    ids = await clerk.store(6, accounts=ACCOUNTS, quantity="1000000")
    async with _clerks(database_url) as clerks:

        async def write(number: int) -> None:
            chance = random.Random(number)
            for round_number in range(6):
                mine = chance.sample(ids, 3)
                reports = {one: [filled("0.1", name=f"{one}-{number}-{round_number}", price="3.3")] for one in mine}
                await clerks[number % ENGINES].record(reports)

        await asyncio.gather(*(write(number) for number in range(6)))

    assert await database.fetch(GAPS) == []
    assert await database.fetch(WRONG_SUMS) == []
    (total,) = await database.fetch("SELECT sum(filled_quantity) AS filled FROM orders")
    assert total["filled"] == Decimal("0.1") * 6 * 6 * 3


async def test_overlapping_batches_of_accepting_and_recording_never_deadlock(
    database_url: str, database: Database, clerk: Clerk
) -> None:
    ids = await clerk.store(200, accounts=ACCOUNTS, quantity="1000000")
    (before,) = await database.fetch(DEADLOCKS)
    async with _clerks(database_url) as clerks:

        async def write(number: int) -> None:
            chance = random.Random(number)
            for round_number in range(5):
                mine = _shuffled(ids[number * 20 : number * 20 + 60], chance)
                await clerks[number % ENGINES].record(
                    {one: [filled("1", name=f"{one}-{number}-{round_number}")] for one in mine}
                )

        async def store_orders(number: int) -> None:
            for _ in range(8):
                await clerks[number % ENGINES].store(30, accounts=_shuffled(ACCOUNTS, random.Random(number)))

        await asyncio.gather(*(write(number) for number in range(6)), *(store_orders(number) for number in range(4)))

    await database.fetch("SELECT pg_stat_force_next_flush()")
    assert await database.fetch(DEADLOCKS) == [before]
    assert await database.fetch(GAPS) == []


@asynccontextmanager
async def _clerks(database_url: str) -> AsyncIterator[Sequence[Clerk]]:
    """Return clerks of several processes: each with its own engine."""
    async with AsyncExitStack() as stack:
        databases = [
            await stack.enter_async_context(
                open_database(database_url, application_name=f"writer {number}", pool_max_connections=4)
            )
            for number in range(ENGINES)
        ]
        yield [Clerk(make_store(database)) for database in databases]


def _shuffled(items: Sequence[Item], chance: random.Random) -> list[Item]:
    return chance.sample(list(items), len(items))
