"""The arena's database as the run reads it: the trigger that watches writes, what is still due, and all rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import asyncpg
import orjson

from db.rows import order_of
from tests.chaos.evidence import LeaderStep, PlacingStep, StoredChange, StoredExecution, StoredOrder

CALL_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
APPLICATION_NAME = "chaos"

# Triggers see every write, whoever makes it. Only rows that a claim or an attempt's end changes are noted.
AUDIT = """
CREATE TABLE chaos_placing (
    order_id uuid, attempt_before int, attempt int, lease_left_seconds float8, is_leased bool,
    attempts_changed bool, maybe_sent_changed bool, was_over bool
);
CREATE FUNCTION chaos_note_placing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_placing VALUES (
        NEW.id, OLD.attempt, NEW.attempt, extract(epoch FROM OLD.lease_until - now()), NEW.lease_until IS NOT NULL,
        OLD.attempts IS DISTINCT FROM NEW.attempts, OLD.maybe_sent_at IS DISTINCT FROM NEW.maybe_sent_at,
        OLD.place_due_at IS NULL
    );
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_placing AFTER UPDATE ON orders FOR EACH ROW WHEN (
    OLD.attempt IS DISTINCT FROM NEW.attempt OR OLD.attempts IS DISTINCT FROM NEW.attempts
    OR OLD.lease_until IS DISTINCT FROM NEW.lease_until OR OLD.maybe_sent_at IS DISTINCT FROM NEW.maybe_sent_at
) EXECUTE FUNCTION chaos_note_placing();
CREATE TABLE chaos_leaders (epoch_before bigint, epoch bigint, moment_before float8, moment float8);
CREATE FUNCTION chaos_note_leader() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_leaders VALUES (
        OLD.epoch, NEW.epoch, extract(epoch FROM OLD.moment), extract(epoch FROM NEW.moment)
    );
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_leaders AFTER UPDATE ON stream_positions FOR EACH ROW EXECUTE FUNCTION chaos_note_leader();
"""
_UNDECIDED = """
SELECT count(*) FILTER (WHERE place_due_at IS NOT NULL) AS to_place,
    count(*) FILTER (WHERE cancel_due_at IS NOT NULL) AS to_cancel
FROM orders WHERE place_due_at IS NOT NULL OR cancel_due_at IS NOT NULL
"""
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'fillwire%'"
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'fillwire%'"
_EXECUTIONS = """
SELECT venue_execution_id, order_id, is_busted, coalesce(correction_quantity, fill_quantity) AS quantity,
    coalesce(correction_price, fill_price) AS price
FROM executions
"""
_CHANGES = "SELECT account_id, sequence, order_id, version, kind, status, filled_quantity FROM order_changes"

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
    """Asks the database short questions on one connection, which is opened again when it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def undecided(self) -> tuple[int, int]:
        """How many orders are still to be placed, and how many cancel requests are open. Raises one of OUTAGES."""
        (row,) = await self._fetch(_UNDECIDED)
        return row["to_place"], row["to_cancel"]

    async def sequences(self) -> dict[str, int]:
        """Each account's newest sequence. Raises one of OUTAGES."""
        return {row["id"]: row["sequence"] for row in await self._fetch("SELECT id, sequence FROM accounts")}

    async def versions(self, order_ids: Sequence[str]) -> dict[str, int]:
        """The versions of these orders. Raises one of OUTAGES."""
        rows = await self._fetch("SELECT id, version FROM orders WHERE id = ANY($1::uuid[])", list(order_ids))
        return {str(row["id"]): row["version"] for row in rows}

    async def execution_count(self) -> int:
        """How many executions are stored. Raises one of OUTAGES."""
        (row,) = await self._fetch("SELECT count(*) AS n FROM executions")
        count: int = row["n"]
        return count

    async def open_at_venue(self) -> set[str]:
        """The ids of the orders that are open at the exchange, as far as is known here. Raises one of OUTAGES."""
        return {str(row["id"]) for row in await self._fetch("SELECT id FROM orders WHERE is_open_at_venue")}

    async def connections(self) -> int:
        """How many connections our processes hold. Raises one of OUTAGES."""
        (row,) = await self._fetch(_CONNECTIONS)
        count: int = row["count"]
        return count

    async def read_all(self) -> Stored:
        """Everything, to be judged. Raises one of OUTAGES."""
        return Stored(
            orders=[_order(row) for row in await self._fetch("SELECT * FROM orders")],
            executions=[_execution(row) for row in await self._fetch(_EXECUTIONS)],
            changes=[_change(row) for row in await self._fetch(_CHANGES)],
            sequences=await self.sequences(),
            placing_steps=[
                PlacingStep(**{**row, "order_id": str(row["order_id"])})
                for row in await self._fetch("SELECT * FROM chaos_placing")
            ],
            leader_steps=[LeaderStep(**row) for row in await self._fetch("SELECT * FROM chaos_leaders")],
        )

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _fetch(self, statement: str, *arguments: object) -> list[Row]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await _connect(self._url)
        try:
            rows = await self._connection.fetch(statement, *arguments, timeout=READ_TIMEOUT_SECONDS)
        except OUTAGES:
            self.close()
            raise
        return [dict(row) for row in rows]


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection = await asyncpg.connect(
        url, timeout=CALL_TIMEOUT_SECONDS, server_settings={"application_name": APPLICATION_NAME}
    )
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_no_encoder, decoder=orjson.loads)
    return connection


def _no_encoder(_value: object) -> str:
    raise AssertionError("the run only reads")


def _order(row: Row) -> StoredOrder:
    return StoredOrder(
        id=str(row["id"]),
        account_id=row["account_id"],
        client_order_id=row["client_order_id"],
        venue_order_id=row["venue_order_id"],
        quantity=row["quantity"],
        status=row["status"],
        derived_status=order_of(row).status.value,
        version=row["version"],
        filled_quantity=row["filled_quantity"],
        notional=row["notional"],
        is_due=row["place_due_at"] is not None,
        is_cancel_due=row["cancel_due_at"] is not None,
    )


def _execution(row: Row) -> StoredExecution:
    return StoredExecution(
        execution_id=row["venue_execution_id"],
        order_id=str(row["order_id"]),
        quantity=Decimal(0) if row["is_busted"] else row["quantity"],
        price=row["price"],
    )


def _change(row: Row) -> StoredChange:
    return StoredChange(**{**row, "order_id": str(row["order_id"])})
