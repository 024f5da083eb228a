"""TokenRevocations: a revocation reaches every reader once, in order, and is permanent."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.model.revocations import Revocation, RevokedTokens
from domain.ports.revocations import TokenRevocations
from tests.contracts.stores import Adapters
from tests.support.examples import at, now
from tests.support.operators import store_revocation

DAY = timedelta(days=1)


@pytest.fixture
def revocations(adapters: Adapters) -> TokenRevocations:
    """Return the adapter under test."""
    return adapters.revocations


def revocation(*, token_id: str | None = None, account_id: str | None = None, second: int = 0) -> Revocation:
    """Return a revocation of the token, or of the account's tokens from before that second."""
    return Revocation(
        tokens=RevokedTokens(
            token_id=token_id,
            account_id=account_id,
            issued_before=None if account_id is None else at(second),
            expires_at=now() + DAY,
        ),
        revoked_at=now(),
        revoked_by="olga",
        reason="a stolen laptop",
    )


async def test_before_the_first_revocation_there_is_nothing_to_read(revocations: TokenRevocations) -> None:
    changes = await revocations.changes_after(0, limit=10)

    assert (changes.tokens, changes.position, changes.has_more) == ([], 0, False)


async def test_a_reader_gets_what_was_revoked_since_it_read_last(revocations: TokenRevocations) -> None:
    first, second = revocation(token_id="t-1"), revocation(account_id="alice")
    await store_revocation(revocations, first)
    before = await revocations.changes_after(0, limit=10)
    await store_revocation(revocations, second)

    after = await revocations.changes_after(before.position, limit=10)
    nothing = await revocations.changes_after(after.position, limit=10)

    assert before.tokens == [first.tokens]
    assert after.tokens == [second.tokens]
    assert (nothing.tokens, nothing.position) == ([], after.position)


async def test_many_are_read_page_by_page_and_none_is_left_out(revocations: TokenRevocations) -> None:
    for number in range(7):
        await store_revocation(revocations, revocation(token_id=f"t-{number}"))

    read, position, more = [], 0, True
    while more:
        changes = await revocations.changes_after(position, limit=3)
        read.append([tokens.token_id for tokens in changes.tokens])
        position, more = changes.position, changes.has_more

    assert read == [["t-0", "t-1", "t-2"], ["t-3", "t-4", "t-5"], ["t-6"]]


async def test_a_repeat_reaches_readers_again_and_takes_nothing_back(revocations: TokenRevocations) -> None:
    later = revocation(account_id="alice", second=30)
    await store_revocation(revocations, later)
    position = (await revocations.changes_after(0, limit=10)).position
    earlier = revocation(account_id="alice", second=10)

    await store_revocation(revocations, replace(earlier, tokens=replace(earlier.tokens, expires_at=now() - DAY)))

    changes = await revocations.changes_after(position, limit=10)
    assert changes.tokens == [later.tokens]
    assert (await revocations.changes_after(0, limit=10)).tokens == [later.tokens]


async def test_a_reader_beyond_a_restored_database_starts_again(revocations: TokenRevocations) -> None:
    kept = revocation(token_id="t-1")
    await store_revocation(revocations, kept)

    changes = await revocations.changes_after(4711, limit=10)

    assert changes.tokens == [kept.tokens]
    assert changes.position < 4711


async def test_of_many_concurrent_ones_a_reader_that_follows_misses_none(revocations: TokenRevocations) -> None:
    names = {f"t-{number}" for number in range(60)}
    writing = [asyncio.create_task(store_revocation(revocations, revocation(token_id=name))) for name in sorted(names)]
    seen: list[str | None] = []
    position = 0

    async with asyncio.timeout(20):
        while len(seen) < len(names):
            changes = await revocations.changes_after(position, limit=1_000)
            seen += [tokens.token_id for tokens in changes.tokens]
            position = changes.position
            await asyncio.sleep(0)
    await asyncio.gather(*writing)

    assert sorted(map(str, seen)) == sorted(names)
