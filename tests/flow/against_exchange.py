"""Comparison of the stored orders with the exchange's own journal, the reference for orders and executions."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import asyncpg

from tests.support.processes import eventually
from tests.support.system import Json, System

AT_ONCE = 50
PLACED_WITHIN_SECONDS = 120.0
STATES = "SELECT venue_client_order_id AS id, status, quantity, filled_quantity FROM orders"
EXECUTIONS = """
SELECT e.venue_execution_id, o.venue_client_order_id, e.fill_quantity, e.fill_price
FROM executions AS e JOIN orders AS o ON o.id = e.order_id
"""


@dataclass(frozen=True, slots=True)
class Exchange:
    """The exchange of a system, and the database of the same."""

    system: System
    database: "asyncpg.Connection[asyncpg.Record]"

    async def place(self, count: int) -> Sequence[str]:
        """Place orders as fast as the API accepts them, wait until the exchange has all of them, and return their
        ids.
        """
        tag = secrets.token_hex(4)
        before = len(await self.journal("order"))
        await in_parallel([self.system.placed_id(client_order_id=f"{tag}-{number}") for number in range(count)])

        async def all_there() -> bool:
            return len(await self.journal("order")) == before + count

        await eventually(all_there, within_seconds=PLACED_WITHIN_SECONDS, what=f"the exchange has {count} orders")
        return [entry["order_id"] for entry in await self.journal("order")][before:]

    async def fill(self, order_ids: Sequence[str]) -> None:
        """Execute the remaining quantity of the orders."""
        await in_parallel([self.system.control("POST", "fills", {"order_id": order_id}) for order_id in order_ids])

    async def becomes_right(self, *, within_seconds: float) -> None:
        """Wait until every order was executed and is here as it is there; AssertionError with the difference."""
        differences: list[str] = []

        async def is_right() -> bool:
            differences.append(await self.difference())
            return not differences[-1]

        try:
            await eventually(is_right, within_seconds=within_seconds, what="all is here as it is there")
        except AssertionError as error:
            error.add_note(differences[-1] if differences else "not even compared")
            raise

    async def difference(self) -> str:
        """Return the differences between the stored orders and the journal as text; empty when they agree and every
        order is filled.
        """
        orders, events = await self.journal("order"), await self.journal("event")
        there = Counter(
            (event["execution_id"], event["client_order_id"], Decimal(event["qty"]), Decimal(event["price"]))
            for event in events
            if event["event"] in {"fill", "partial_fill"}
        )
        here = Counter(tuple(row) for row in await self.database.fetch(EXECUTIONS))
        if here != there:
            return f"executions: {len(there - here)} missing, {len(here - there)} too many"
        states = {row["id"]: row for row in await self.database.fetch(STATES)}
        if states.keys() != {order["client_order_id"] for order in orders}:
            return f"{len(states)} orders here, {len(orders)} there"
        unfinished = [row["status"] for row in states.values() if row["status"] != "FILLED"]
        if unfinished:
            return f"not filled: {Counter(unfinished)}"
        wrong = [order_id for order_id, row in states.items() if row["filled_quantity"] != row["quantity"]]
        return f"wrong sums: {wrong}" if wrong else ""

    async def journal(self, kind: str) -> Sequence[Json]:
        """All entries of that kind."""
        entries: Sequence[Json] = (await self.system.control("GET", "journal?after=0&limit=100000"))["entries"]
        return [entry for entry in entries if entry["kind"] == kind]


async def in_parallel(works: Sequence[Awaitable[Any]]) -> None:
    """Run all of it, with a bounded number at the same time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(work: Awaitable[Any]) -> None:
        async with slots:
            await work

    async with asyncio.TaskGroup() as tasks:
        for work in works:
            tasks.create_task(one(work))


async def fill_while_cut(exchange: Exchange, *, orders: int, cut_seconds: float, within_seconds: float) -> float:
    """Fill orders while the stream is disconnected; return the seconds from its return until both sides agree.

    Negative when they agreed before, through REST. AssertionError when they do not agree within the bound.
    """
    await exchange.system.control("PUT", "matching", {"mode": "manual"})
    order_ids = await exchange.place(orders)
    await exchange.system.control("POST", "disconnect", {"hold_slot_seconds": cut_seconds})
    returns_at = time.monotonic() + cut_seconds
    await exchange.fill(order_ids)
    await exchange.becomes_right(within_seconds=max(returns_at - time.monotonic(), 0) + within_seconds)
    return time.monotonic() - returns_at
