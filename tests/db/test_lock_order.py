"""Statements that lock several rows lock them by id, so that two of them wait for each other, and never in a circle."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from db.database import Database
from db.order_store import PostgresOrderStore
from tests.support.examples import accepted, an_order, cancel_asked
from tests.support.processes import eventually
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)
LOW, HIGH = UUID(int=1), UUID(int=2)
BOTH = [HIGH, LOW]

Statement = Callable[[PostgresOrderStore, Clerk], Awaitable[object]]


async def _claim(store: PostgresOrderStore, _clerk: Clerk) -> object:
    return await store.claim(BOTH, lease=LEASE)


async def _claim_cancels(store: PostgresOrderStore, _clerk: Clerk) -> object:
    return await store.claim_cancels(BOTH, lease=LEASE)


async def _write(store: PostgresOrderStore, clerk: Clerk) -> object:
    return await store.write(await clerk.decide({order_id: [accepted()] for order_id in BOTH}))


@dataclass(frozen=True, slots=True)
class Locks:
    """A store with two orders of two accounts, and a concurrent transaction that locks rows."""

    database: Database
    url: str
    store: PostgresOrderStore
    clerk: Clerk

    async def expect_first(self, table: str, low: object, high: object, statement: Statement) -> None:
        """Hold the higher row back; the statement that waits for it must have locked the lower one."""
        other = await asyncpg.connect(self.url)
        try:
            async with other.transaction():
                await other.execute(f"SELECT FROM {table} WHERE id = $1 FOR UPDATE", high)
                running = asyncio.ensure_future(statement(self.store, self.clerk))
                await eventually(self._is_waiting, within_seconds=5, what="the statement waits")
                free = await other.fetch(f"SELECT id FROM {table} WHERE id = $1 FOR UPDATE SKIP LOCKED", low)  # noqa: S608 - our own name
        finally:
            await other.close()
        await running
        assert free == []

    async def _is_waiting(self) -> bool:
        (row,) = await self.database.fetch(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(row["n"])


@pytest.fixture
async def locks(database: Database, database_url: str, store: PostgresOrderStore, clerk: Clerk) -> Locks:
    """Return the orders, of which the higher ids are stored first in the tables."""
    for order_id, account_id in ((HIGH, "b"), (LOW, "a")):
        await store.store(an_order(order_id=order_id, account_id=account_id, client_order_id=account_id))
    return Locks(database, database_url, store, clerk)


@pytest.mark.parametrize("statement", [_claim, _write])
async def test_orders_are_locked_by_their_ids(statement: Statement, locks: Locks) -> None:
    await locks.expect_first("orders", LOW, HIGH, statement)


async def test_cancel_requests_are_locked_by_their_orders_ids(locks: Locks) -> None:
    await locks.clerk.record({order_id: [accepted(), cancel_asked()] for order_id in BOTH})
    await locks.database.fetch("UPDATE orders SET cancel_due_at = now()")

    await locks.expect_first("orders", LOW, HIGH, _claim_cancels)


async def test_accounts_are_locked_by_their_ids(locks: Locks) -> None:
    await locks.expect_first("accounts", "a", "b", _write)
