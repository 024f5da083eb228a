"""The rows of recording, written directly: no rules, no checks, no numbering, one connection.

`write_in_batches` is the least work for the same rows, `write_one_by_one` is the usual implementation.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
from uuid_utils.compat import uuid7

BATCH_ROWS = 500
UPDATE_ORDERS = """
UPDATE orders AS o SET filled_quantity = n.filled_quantity, notional = n.notional, status = n.status,
    version = n.version, updated_at = n.at
FROM unnest($1::uuid[], $2::numeric[], $3::numeric[], $4::text[], $5::int[], $6::timestamptz[])
    AS n (id, filled_quantity, notional, status, version, at)
WHERE o.id = n.id
"""
UPDATE_ORDER = """
UPDATE orders SET filled_quantity = $2, notional = $3, status = $4, version = $5, updated_at = $6 WHERE id = $1
RETURNING version
"""
NEXT_SEQUENCE = "UPDATE accounts SET sequence = sequence + 1 WHERE id = $1 RETURNING sequence"
ORDER_FIELDS = ("order_id", "filled_quantity", "notional", "status", "version", "at")

Row = Mapping[str, Any]
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Executions and the changes that they made, one of each, in the order of their recording."""

    executions: Sequence[Row]
    changes: Sequence[Row]

    def again(self, turn: int) -> "Rows":
        """Return other rows of the same kind: new ids, and the numbers after those of the previous turns."""
        ids = {row["id"]: uuid7() for row in self.executions}
        return Rows(
            executions=[{**row, "id": ids[row["id"]], "venue_execution_id": str(uuid7())} for row in self.executions],
            changes=[
                {
                    **row,
                    "execution_id": ids[row["execution_id"]],
                    "sequence": row["sequence"] + turn * len(self.changes),
                    "version": row["version"] + turn * len(self.changes),
                }
                for row in self.changes
            ],
        )


async def read_rows(url: str, *, last: int) -> Rows:
    """Return the newest executions that the product has recorded in the database, and their changes."""
    connection = await asyncpg.connect(url)
    try:
        executions = await connection.fetch("SELECT * FROM executions ORDER BY id DESC LIMIT $1", last)
        by_id = {row["id"]: dict(row) for row in reversed(executions)}
        changes = await connection.fetch(
            "SELECT * FROM order_changes WHERE execution_id = ANY($1::uuid[])", list(by_id)
        )
    finally:
        await connection.close()
    of_execution = {row["execution_id"]: dict(row) for row in changes}
    return Rows(executions=list(by_id.values()), changes=[of_execution[one] for one in by_id])


async def copy_orders(source: str, target: str) -> None:
    """Bring the orders and accounts of one database into another."""
    there, here = await asyncpg.connect(source), await asyncpg.connect(target)
    try:
        for table in ("orders", "accounts"):
            rows = await there.fetch(f"SELECT * FROM {table}")  # noqa: S608  # Our own tables.
            await here.copy_records_to_table(table, records=map(tuple, rows), columns=list(rows[0].keys()))
        await here.execute("ANALYZE")
    finally:
        await there.close()
        await here.close()


async def write_in_batches(url: str, rows: Rows) -> float:
    """COPY executions and changes and UPDATE with arrays, a transaction for each 500; return rows per second."""
    connection = await asyncpg.connect(url)
    try:
        began = time.perf_counter()
        for start in range(0, len(rows.executions), BATCH_ROWS):
            executions = rows.executions[start : start + BATCH_ROWS]
            changes = rows.changes[start : start + BATCH_ROWS]
            newest = {change["order_id"]: change for change in changes}.values()
            async with connection.transaction():
                await _copy(connection, "executions", executions)
                await _copy(connection, "order_changes", changes)
                await connection.execute(UPDATE_ORDERS, *([row[name] for row in newest] for name in ORDER_FIELDS))
        return len(rows.executions) / (time.perf_counter() - began)
    finally:
        await connection.close()


async def write_one_by_one(url: str, rows: Rows) -> float:
    """Write in a transaction each: the execution, the order, the account's next number, the change; return rows per
    second.
    """
    connection = await asyncpg.connect(url)
    try:
        began = time.perf_counter()
        for execution, change in zip(rows.executions, rows.changes, strict=True):
            async with connection.transaction():
                await _insert(connection, "executions", execution)
                await connection.fetchrow(UPDATE_ORDER, *(change[name] for name in ORDER_FIELDS))
                await connection.fetchrow(NEXT_SEQUENCE, change["account_id"])
                await _insert(connection, "order_changes", change)
        return len(rows.executions) / (time.perf_counter() - began)
    finally:
        await connection.close()


async def _insert(connection: Connection, table: str, row: Row) -> None:
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608  # As above.
    await connection.execute(statement, *row.values())


async def _copy(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    columns = list(rows[0])
    await connection.copy_records_to_table(table, records=[tuple(row.values()) for row in rows], columns=columns)
