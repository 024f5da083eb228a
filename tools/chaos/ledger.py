"""The run's reads of the arena's database: due work, connections, and at the end all rows.

Repeated texts and numbers are interned: a run of ten minutes has millions of them.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from sys import intern
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from db.order_rows import order_of
from tools.chaos.evidence import Batch, LeaderStep, PlacingStep, StoredChange, StoredExecution, StoredOrder, one

CALL_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
READ_AT_ONCE_ROWS = 5_000
APPLICATION_NAME = "chaos"

# Each count uses the partial index of its column: it is read several times a second, from a growing table.
_UNDECIDED = """
SELECT (SELECT count(*) FROM orders WHERE submit_due_at IS NOT NULL AND venue_client_order_id <> ALL($1)) AS to_place,
    (SELECT count(*) FROM orders WHERE cancel_due_at IS NOT NULL AND venue_client_order_id <> ALL($1)) AS to_cancel
"""
_CONNECTIONS = """
SELECT application_name, count(*) AS count FROM pg_stat_activity
WHERE application_name LIKE 'fillwire%' GROUP BY application_name
"""
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'fillwire%'"
# A row that amends or repeats is another id of one that counts; one without a quantity is known only by its bust.
_EXECUTIONS = """
SELECT e.id, e.venue_execution_id, e.order_id::text, e.is_busted,
    coalesce(e.correction_quantity, e.fill_quantity) AS quantity, coalesce(e.correction_price, e.fill_price) AS price
FROM executions AS e
WHERE e.amends IS NULL AND e.repeats IS NULL AND coalesce(e.correction_quantity, e.fill_quantity) IS NOT NULL
"""
_OF_ONE = "AND e.order_id = $1"
_CHANGES = "SELECT account_id, sequence, order_id::text, version, kind, status, filled_quantity FROM order_changes"

Row = dict[str, Any]
OUTAGES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What asking raises while PostgreSQL is down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """All rows."""

    orders: Sequence[StoredOrder]
    executions: Sequence[StoredExecution]
    changes: Sequence[StoredChange]
    sequences: dict[str, int]
    placing_steps: Sequence[PlacingStep]
    leader_steps: Sequence[LeaderStep]
    batches: Sequence[Batch]


async def execute(url: str, statements: str) -> None:
    """Run statements on a connection of their own. Raises one of OUTAGES."""
    connection = await _connect(url)
    try:
        await connection.execute(statements, timeout=CALL_TIMEOUT_SECONDS)
    finally:
        connection.terminate()


async def end_sessions(url: str) -> None:
    """Terminate the connections of our processes. Raises one of OUTAGES."""
    await execute(url, _END_SESSIONS)


class Ledger:
    """Runs short queries on one connection, which is reopened when it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def undecided(self, *, forgotten: Collection[str] = ()) -> tuple[int, int]:
        """Return the number of orders still to be placed, and of open cancel requests. Raises one of OUTAGES.

        Those of `forgotten`, by the exchange's client order ids, are left out.
        """
        (row,) = await self._fetch(_UNDECIDED, list(forgotten))
        return row["to_place"], row["to_cancel"]

    async def sequences(self) -> dict[str, int]:
        """Return each account's newest sequence. Raise one of OUTAGES."""
        return {row["id"]: row["sequence"] for row in await self._fetch("SELECT id, sequence FROM accounts")}

    async def versions(self, order_ids: Sequence[str]) -> dict[str, int]:
        """Return the versions of these orders. Raise one of OUTAGES."""
        rows = await self._fetch("SELECT id, version FROM orders WHERE id = ANY($1::uuid[])", list(order_ids))
        return {str(row["id"]): row["version"] for row in rows}

    async def halted_accounts(self) -> Sequence[str]:
        """Return the accounts with an open halt. Raises one of OUTAGES."""
        rows = await self._fetch("SELECT account_id FROM trading_halts WHERE resumed_at IS NULL")
        return [row["account_id"] for row in rows]

    async def filled_total(self) -> tuple[Decimal, Decimal]:
        """Return what is filled of all orders together: quantity and notional. Raises one of OUTAGES."""
        (row,) = await self._fetch(
            "SELECT coalesce(sum(filled_quantity), 0) AS quantity, coalesce(sum(notional), 0) AS notional FROM orders"
        )
        return row["quantity"], row["notional"]

    async def filled(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return the same of each order, by the exchange's client order ids. Raises one of OUTAGES."""
        rows = await self._fetch("SELECT venue_client_order_id AS name, filled_quantity, notional FROM orders")
        return {row["name"]: (row["filled_quantity"], row["notional"]) for row in rows}

    async def terms(self, names: Sequence[str]) -> dict[str, tuple[str, Decimal]]:
        """Return the symbols and quantities of these orders as they are now. Raises one of OUTAGES."""
        rows = await self._fetch("SELECT * FROM orders WHERE venue_client_order_id = ANY($1)", list(names))
        return {row["venue_client_order_id"]: _terms(row) for row in rows}

    async def counted_executions(self, order_id: UUID) -> Sequence[tuple[UUID, StoredExecution]]:
        """Return the executions that count of one order, with our ids of them. Raises one of OUTAGES."""
        rows = await self._fetch(_EXECUTIONS + _OF_ONE, order_id)
        return [(row["id"], _execution(row)) for row in rows]

    async def open_at_venue(self) -> set[str]:
        """Return the exchange's client order ids of the orders that are open there according to the database.

        Raise one of OUTAGES.
        """
        rows = await self._fetch("SELECT venue_client_order_id AS name FROM orders WHERE is_open_at_venue")
        return {row["name"] for row in rows}

    async def being_canceled(self) -> set[str]:
        """Return the exchange's client order ids of the orders whose cancel requests are not answered yet.

        Raise one of OUTAGES.
        """
        rows = await self._fetch("SELECT venue_client_order_id AS name FROM orders WHERE status = 'PENDING_CANCEL'")
        return {row["name"] for row in rows}

    async def connections(self) -> dict[str, int]:
        """Return the number of connections of each of our processes, by its application name. Raise one of OUTAGES."""
        return {row["application_name"]: row["count"] for row in await self._fetch(_CONNECTIONS)}

    async def read_all(self) -> Stored:
        """Return everything that is checked. Raise one of OUTAGES."""
        return Stored(
            orders=[_order(row) async for row in self._rows("SELECT * FROM orders")],
            executions=[_execution(row) async for row in self._rows(_EXECUTIONS)],
            changes=[_change(row) async for row in self._rows(_CHANGES)],
            sequences=await self.sequences(),
            placing_steps=[_placing_step(row) async for row in self._rows("SELECT * FROM chaos_placing")],
            leader_steps=[LeaderStep(**row) async for row in self._rows("SELECT * FROM chaos_leaders")],
            batches=[Batch(**row) async for row in self._rows("SELECT * FROM chaos_batches")],
        )

    async def _rows(self, statement: str) -> AsyncIterator[Row]:
        """Yield the rows; they are fetched some thousands at a time."""
        connection = await self._open()
        async with connection.transaction(readonly=True):
            async for record in connection.cursor(statement, prefetch=READ_AT_ONCE_ROWS, timeout=READ_TIMEOUT_SECONDS):
                yield dict(record)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _fetch(self, statement: str, *arguments: object) -> list[Row]:
        connection = await self._open()
        try:
            rows = await connection.fetch(statement, *arguments, timeout=READ_TIMEOUT_SECONDS)
        except OUTAGES:
            self.close()
            raise
        return [dict(row) for row in rows]

    async def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await _connect(self._url)
        return self._connection


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection = await asyncpg.connect(
        url, timeout=CALL_TIMEOUT_SECONDS, server_settings={"application_name": APPLICATION_NAME}
    )
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_no_encoder, decoder=orjson.loads)
    return connection


def _no_encoder(_value: object) -> str:
    raise AssertionError("the run only reads")


def _terms(row: Row) -> tuple[str, Decimal]:
    terms = order_of(row).current_terms
    return terms.symbol, terms.quantity


def _order(row: Row) -> StoredOrder:
    symbol, quantity = _terms(row)
    return StoredOrder(
        id=intern(str(row["id"])),
        account_id=intern(row["account_id"]),
        client_order_id=row["client_order_id"],
        venue_client_order_id=intern(row["venue_client_order_id"]),
        venue_order_id=row["venue_order_id"],
        symbol=intern(symbol),
        quantity=one(quantity),
        status=intern(row["status"]),
        derived_status=order_of(row).status.value,
        version=row["version"],
        filled_quantity=one(row["filled_quantity"]),
        notional=row["notional"],
        is_due=row["submit_due_at"] is not None,
        is_cancel_due=row["cancel_due_at"] is not None,
    )


def _execution(row: Row) -> StoredExecution:
    return StoredExecution(
        execution_id=intern(row["venue_execution_id"]),
        order_id=intern(row["order_id"]),
        quantity=Decimal(0) if row["is_busted"] else one(row["quantity"]),
        price=one(row["price"]),
    )


def _change(row: Row) -> StoredChange:
    return StoredChange(
        account_id=intern(row["account_id"]),
        sequence=row["sequence"],
        order_id=intern(row["order_id"]),
        version=row["version"],
        kind=intern(row["kind"]),
        status=intern(row["status"]),
        filled_quantity=one(row["filled_quantity"]),
    )


def _placing_step(row: Row) -> PlacingStep:
    return PlacingStep(**{**row, "order_id": intern(str(row["order_id"])), "writer": intern(row["writer"])})
