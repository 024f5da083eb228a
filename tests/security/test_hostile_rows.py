"""A login of one process stores an unreadable change: only its own account is affected, and no other process."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from db.account_seals import PostgresAccountSeals
from db.change_log import PostgresChangeLog
from db.database import Database
from tests.security.test_audit import findings, heads_of, seal
from tests.support.live_feeds import a_feed, following
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk

# What the logins of the API, the worker and ingest may all insert.
HOSTILE_CHANGE = """
INSERT INTO order_changes (account_id, sequence, order_id, version, kind, at, status, filled_quantity, notional)
SELECT account_id, sequence + 1, order_id, version + 1, $1, $2::text::timestamptz, status, 0, 0
FROM order_changes WHERE account_id = 'alice' ORDER BY sequence DESC LIMIT 1
"""
ONE_MORE = "UPDATE accounts SET sequence = sequence + 1 WHERE id = 'alice'"
FAR_AWAY = ["20000-01-01", "0044-03-15 BC", "-infinity"]


async def insert(database_url: str, *, kind: str = "RECEIVED", at: str = "2026-01-01") -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(HOSTILE_CHANGE, kind, at)
    await connection.execute(ONE_MORE)
    await connection.close()


@pytest.mark.parametrize("at", FAR_AWAY)
async def test_a_time_beyond_pythons_range_does_not_block_the_sealing_of_other_accounts(
    database: Database, emptied_database_url: str, at: str
) -> None:
    clerk = Clerk(make_store(database))
    await clerk.store(2, accounts=("alice", "bob"))
    await insert(emptied_database_url, at=at)

    await seal(database)

    assert (await PostgresAccountSeals(database).heads(["bob"]))["bob"].sequence == 1


@pytest.mark.parametrize("at", FAR_AWAY)
async def test_a_moment_that_python_does_not_know_is_found_by_verify(
    database: Database, emptied_database_url: str, at: str
) -> None:
    await Clerk(make_store(database)).store(1)
    await seal(database)
    exported = await heads_of(database)
    await insert(emptied_database_url)
    await seal(database)
    connection = await asyncpg.connect(emptied_database_url)
    await connection.execute("UPDATE order_changes SET at = $1::text::timestamptz WHERE sequence = 2", at)
    await connection.close()

    assert await findings(database, exported) != []


@pytest.mark.parametrize(("kind", "at"), [("A_LATER_RELEASES", "2026-01-01"), ("RECEIVED", "20000-01-01")])
async def test_a_change_that_cannot_be_read_ends_no_subscription_of_another_account(
    database: Database, emptied_database_url: str, kind: str, at: str
) -> None:
    clerk = Clerk(make_store(database))
    await clerk.store(2, accounts=("alice", "bob"))
    async with (
        a_feed(PostgresChangeLog(database)) as listening,
        following(listening, "alice") as alice,
        following(listening, "bob") as bob,
    ):
        await asyncio.gather(alice.has(1), bob.has(1))

        await insert(emptied_database_url, kind=kind, at=at)
        await clerk.store(1, accounts=("bob",))

        await bob.until(lambda: 2 in bob.sequences)


async def test_an_order_that_cannot_be_read_does_not_block_others_from_being_sent(
    database: Database, emptied_database_url: str
) -> None:
    store = make_store(database)
    hers, his = await Clerk(store).store(2, accounts=("alice", "bob"))
    connection = await asyncpg.connect(emptied_database_url)
    # A column that the API's login may write.
    await connection.execute("UPDATE orders SET end_reasons = '{\"A_LATER_RELEASES\": {}}' WHERE id = $1", hers)
    await connection.execute("UPDATE orders SET submit_due_at = now() - interval '1 hour'")
    await connection.close()

    claims = await store.claim_due(limit=64, overdue_by=timedelta(0), lease=timedelta(seconds=10))

    assert [claim.loaded.order.id for claim in claims] == [his]
