"""Migrations create exactly the tables of `db.tables`; repeated or concurrent runs are harmless."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool
from uuid_utils.compat import uuid7

from db.columns import metadata
from db.engine import open_database
from db.migrate import upgrade
from domain.model.order import OrderStatus
from tests.support.examples import now
from tests.support.postgres_stores import make_store
from tests.support.processes import eventually
from tests.support.servers import PostgresServer

CATALOG = (
    """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation,
        pg_get_expr(d.adbin, d.adrelid)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> ALL ($1) AND c.relkind = 'r'
    ORDER BY c.relname, a.attnum
    """,
    """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> ALL ($1) ORDER BY 1, 2
    """,
    """
    SELECT tablename, indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> ALL ($1) ORDER BY 1, 2
    """,
    """
    SELECT relname, reloptions FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname <> ALL ($1) ORDER BY 1
    """,
)
INSERT_ORDER = """
INSERT INTO orders (
    id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, status, created_at, updated_at,
    place_due_at, is_open_at_venue
)
VALUES ($1, 'alice', $2, 'US0378331005', 'AAPL', 'BUY', 'MARKET', 'DAY', 10, $3, now(), now(), $4, $5)
"""
END_AS_REJECTED = """
UPDATE orders SET
    ends = '{REJECTED}', rank = $3, venue_order_id = $4,
    end_reasons = jsonb_build_object(
        'REJECTED', jsonb_build_object('source', 'VENUE', 'code', $2::text, 'message', 'no')
    )
WHERE id = $1
"""
OUTSIDE = ["alembic_version", "alembic_version_pkc"]


async def test_migrating_creates_the_tables_of_the_code(
    postgres_server: PostgresServer, migrated_template: str
) -> None:
    described = await postgres_server.create_database()
    async with _connected(described) as connection:
        await connection.run_sync(metadata.create_all)

    for migrated, by_code in zip(await _catalog(migrated_template), await _catalog(described), strict=True):
        assert migrated == by_code
    await postgres_server.drop_database(described)


async def test_alembic_finds_no_difference_either(migrated_template: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with _connected(migrated_template) as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_is_quick_and_changes_nothing(migrated_template: str) -> None:
    before = await _catalog(migrated_template)
    start = time.monotonic()

    await asyncio.to_thread(upgrade, migrated_template)

    assert time.monotonic() - start < 2
    assert await _catalog(migrated_template) == before


async def test_several_processes_may_migrate_concurrently(
    postgres_server: PostgresServer, migrated_template: str
) -> None:
    fresh = await postgres_server.create_database()

    await asyncio.gather(*(asyncio.to_thread(upgrade, fresh) for _ in range(4)))

    assert await _catalog(fresh) == await _catalog(migrated_template)
    await postgres_server.drop_database(fresh)


async def test_existing_open_orders_are_counted_while_old_processes_lock_accounts(
    postgres_server: PostgresServer,
) -> None:
    before = await postgres_server.create_database()
    await asyncio.to_thread(upgrade, before, "0001")
    old = await asyncpg.connect(before)
    watching = await asyncpg.connect(before)
    try:
        for number, (status, is_due, is_open) in enumerate(
            [("PENDING", True, False), ("PLACED", False, True), ("FILLED", False, False)]
        ):
            await old.execute(INSERT_ORDER, uuid7(), str(number), status, now() if is_due else None, is_open)
        await old.execute("INSERT INTO accounts (id, sequence) VALUES ('alice', 3), ('bob', 0)")
        holding = old.transaction()
        await holding.start()
        await old.execute("SELECT FROM accounts FOR UPDATE")
        migrating = asyncio.create_task(asyncio.to_thread(upgrade, before))
        await eventually(lambda: _is_waiting(watching), within_seconds=10)
        # No statement would get a lock while a migration waits without a limit.
        async with asyncio.timeout(3):
            await watching.execute("SELECT FROM accounts")
        await holding.rollback()
        await migrating

        rows = await watching.fetch("SELECT id, open_orders FROM accounts ORDER BY id")
        assert [tuple(row) for row in rows] == [("alice", 2), ("bob", 0)]
    finally:
        await old.close()
        await watching.close()
    await postgres_server.drop_database(before)


async def test_refusals_that_were_stored_as_ends_become_refusals(postgres_server: PostgresServer) -> None:
    before = await postgres_server.create_database()
    await asyncio.to_thread(upgrade, before, "0002")
    refused, refused_in_doubt, ended, live = [uuid7() for _ in range(4)]
    connection = await asyncpg.connect(before)
    try:
        for order_id, code, rank, venue_order_id in (
            (refused, "VENUE_40310000", 0, None),
            (refused_in_doubt, "VENUE_REFUSED", 0, None),
            (ended, "VENUE_REJECTED", 0, "v-1"),
            (live, "VENUE_40310000", 2, "v-2"),
        ):
            await connection.execute(INSERT_ORDER, order_id, str(order_id), "REJECTED", None, False)
            await connection.execute(END_AS_REJECTED, order_id, code, rank, venue_order_id)
        doubt = '{"SENT_UNKNOWN": {"source": "SYSTEM", "code": "OUTCOME_UNKNOWN", "message": "lost"}}'
        await connection.execute(
            "UPDATE orders SET phase = 1, phase_reasons = $2 WHERE id = $1", refused_in_doubt, doubt
        )

        await asyncio.to_thread(upgrade, before)
        async with open_database(before, application_name="test") as database:
            rows = await make_store(database).load([refused, refused_in_doubt, ended, live])
    finally:
        await connection.close()

    orders = {order_id: row.order for order_id, row in rows.items()}
    assert {order.status for order in orders.values()} == {OrderStatus.REJECTED}
    assert {order_id for order_id, order in orders.items() if not order.facts.ends} == {refused, refused_in_doubt}
    assert {order.reason.message for order in orders.values() if order.reason} == {"no"}
    await postgres_server.drop_database(before)


async def test_orders_from_before_derived_names_keep_their_id_as_their_name(postgres_server: PostgresServer) -> None:
    before = await postgres_server.create_database()
    await asyncio.to_thread(upgrade, before, "0002")
    connection = await asyncpg.connect(before)
    try:
        await connection.execute(INSERT_ORDER, uuid7(), "open", "PENDING", now(), False)
        await connection.execute(INSERT_ORDER, uuid7(), "over", "FILLED", None, False)

        prefix = await asyncio.to_thread(upgrade, before, installation_prefix="ours")

        rows = await connection.fetch("SELECT id, venue_client_order_id, submit_due_at FROM orders ORDER BY created_at")
        assert [row["venue_client_order_id"] for row in rows] == [str(row["id"]) for row in rows]
        assert [row["submit_due_at"] is not None for row in rows] == [True, False]
        assert prefix == await connection.fetchval("SELECT prefix FROM installation") == "ours"
    finally:
        await connection.close()
    await postgres_server.drop_database(before)


async def test_a_process_of_the_version_before_derived_names_can_neither_store_nor_send_nor_record(
    postgres_server: PostgresServer, migrated_template: str
) -> None:
    before = await postgres_server.create_database()
    await asyncio.to_thread(upgrade, before, "0002")
    statements = _statements_before_0005()
    old, new = await asyncpg.connect(before), await asyncpg.connect(migrated_template)
    try:
        for name, statement in statements.items():
            await old.prepare(statement)  # It worked there.
            with pytest.raises(asyncpg.UndefinedColumnError, match="place_due_at"):
                await new.prepare(statement)
            assert name
        prepared = await old.prepare(statements["claim"])
        await asyncio.to_thread(upgrade, before)
        with pytest.raises(asyncpg.PostgresError, match="place_due_at"):
            await prepared.fetch(timedelta(seconds=60), "alpaca", [uuid7()])
    finally:
        await old.close()
        await new.close()
    await postgres_server.drop_database(before)


async def test_two_databases_get_different_prefixes(postgres_server: PostgresServer, migrated_template: str) -> None:
    other = await postgres_server.create_database()

    prefix = await asyncio.to_thread(upgrade, other)

    assert prefix != await asyncio.to_thread(upgrade, migrated_template)
    await postgres_server.drop_database(other)


def _statements_before_0005() -> Mapping[str, str]:
    """Return the statements that find their orders by the id, by their purpose."""
    text = Path(__file__).with_name("statements_before_0005.sql").read_text()
    parts = [part.partition("\n") for part in text.split("-- name: ")[1:]]
    return {name: statement for name, _, statement in parts}


async def test_migrating_needs_no_working_directory(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    fresh = await postgres_server.create_database()

    await asyncio.to_thread(upgrade, fresh)

    assert await _catalog(fresh) != [[], [], [], []]
    await postgres_server.drop_database(fresh)


async def _is_waiting(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[AsyncConnection]:
    """Open a connection with a transaction that is committed at the end."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    async with engine.begin() as connection:
        yield connection


async def _catalog(url: str) -> list[list[tuple[object, ...]]]:
    """Columns, constraints, indexes and storage options, as PostgreSQL itself describes them."""
    connection = await asyncpg.connect(url)
    try:
        return [[tuple(row) for row in await connection.fetch(query, OUTSIDE)] for query in CATALOG]
    finally:
        await connection.close()
