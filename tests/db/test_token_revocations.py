"""Positions of revocations are in the order of the commits, and what has expired is deleted."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from db.database import Database
from db.operator_actions import action_arguments
from db.token_revocations import EXPIRED_DELETED_MAX, REVOKE, PostgresTokenRevocations
from domain.model.operator_actions import ActionKind
from domain.model.revocations import Revocation, RevokedTokens
from tests.support.examples import now
from tests.support.operators import an_action, store_revocation
from tests.support.processes import eventually

DAY = timedelta(days=1)


@pytest.fixture
def revocations(database: Database) -> PostgresTokenRevocations:
    """Return the adapter under test."""
    return PostgresTokenRevocations(database)


def revocation(token_id: str, *, lasts: timedelta = DAY) -> Revocation:
    """Return a revocation of the token."""
    return Revocation(
        tokens=RevokedTokens(token_id=token_id, expires_at=now() + lasts),
        revoked_at=now(),
        revoked_by="olga",
        reason="a stolen laptop",
    )


async def _revoke(connection: asyncpg.Connection, token_id: str) -> None:
    """Run the statement in the connection's transaction."""
    row = ("", token_id, None, now(), "olga", "stolen", now() + DAY, EXPIRED_DELETED_MAX)
    await connection.execute(REVOKE, *row, *action_arguments(an_action(ActionKind.TOKENS_REVOKED)))


async def test_a_writer_that_commits_late_is_not_overtaken_by_one_with_a_higher_position(
    revocations: PostgresTokenRevocations, database_url: str
) -> None:
    await store_revocation(revocations, revocation("first"))
    position = (await revocations.changes_after(0, limit=10)).position
    slow, watching = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        late = slow.transaction()
        await late.start()
        await _revoke(slow, "late")
        quick = asyncio.create_task(store_revocation(revocations, revocation("quick")))
        await eventually(lambda: _is_waiting(watching), within_seconds=5)
        meanwhile = await revocations.changes_after(position, limit=10)
        await late.commit()
        await quick
    finally:
        await slow.close()
        await watching.close()

    after = await revocations.changes_after(meanwhile.position, limit=10)
    assert meanwhile.tokens == []
    assert [tokens.token_id for tokens in after.tokens] == ["late", "quick"]


async def test_a_writer_that_rolls_back_leaves_no_gap(revocations: PostgresTokenRevocations, database_url: str) -> None:
    slow = await asyncpg.connect(database_url)
    try:
        late = slow.transaction()
        await late.start()
        await _revoke(slow, "late")
        await late.rollback()
    finally:
        await slow.close()

    await store_revocation(revocations, revocation("next"))

    changes = await revocations.changes_after(0, limit=10)
    assert [tokens.token_id for tokens in changes.tokens] == ["next"]
    assert changes.position == 1


async def test_what_no_token_can_be_valid_under_any_more_is_deleted_by_the_next_revocation(
    revocations: PostgresTokenRevocations,
) -> None:
    for name in ("old", "older"):
        await store_revocation(revocations, revocation(name, lasts=-DAY))
    await store_revocation(revocations, revocation("lasting"))

    await store_revocation(revocations, revocation("old"))

    changes = await revocations.changes_after(0, limit=10)
    assert [tokens.token_id for tokens in changes.tokens] == ["lasting", "old"]


async def _is_waiting(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
