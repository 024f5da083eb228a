"""AccountReader: the list of accounts, which ids exist, and when each placed its last order."""

from datetime import UTC

import pytest
from uuid_utils.compat import uuid7

from domain.model.limits import AccountLimits
from domain.model.order_query import PageRequest
from domain.ports.readers import AccountReader
from domain.ports.trading_control import TradingHalt
from tests.contracts.stores import Adapters
from tests.support.examples import now
from tests.support.operators import begin_halt, end_halt, save_limits
from tests.support.store_driver import Clerk

ACCOUNTS = ("a%", "a_", "a_b", "aa", "ab", "b", "\u00e9", "B", "a", "\U0001f600")


@pytest.fixture
def accounts(adapters: Adapters) -> AccountReader:
    """Return the reader under test."""
    return adapters.accounts


async def found(accounts: AccountReader, search: str | None, *, backwards: bool = False, limit: int = 2) -> list[str]:
    """Every account, page by page, from one end to the other."""
    seen: list[str] = []
    while True:
        key = seen[-1] if seen else None
        request = PageRequest(
            limit=limit, backwards=backwards, before=key if backwards else None, after=None if backwards else key
        )
        page = await accounts.page(request, search=search)
        seen += page.rows[::-1] if backwards else page.rows
        if not (page.has_previous if backwards else page.has_next):
            return seen


async def test_accounts_are_listed_by_code_point_and_pages_show_each_once(
    accounts: AccountReader, clerk: Clerk
) -> None:
    await clerk.store(2 * len(ACCOUNTS), accounts=ACCOUNTS)

    assert await found(accounts, None) == sorted(ACCOUNTS)
    assert await found(accounts, None, backwards=True) == sorted(ACCOUNTS, reverse=True)


@pytest.mark.parametrize("search", ["a", "a_", "a%", "%", "_", "A", "b", "\u00e9", "\U0001f600", "zz", ""])
async def test_a_search_is_the_exact_start_of_an_id(accounts: AccountReader, clerk: Clerk, search: str) -> None:
    await clerk.store(len(ACCOUNTS), accounts=ACCOUNTS)

    expected = sorted(one for one in ACCOUNTS if one.startswith(search))

    assert await found(accounts, search) == expected
    assert await found(accounts, search, backwards=True) == expected[::-1]


async def test_an_account_is_known_by_an_order_an_open_halt_or_limits(
    adapters: Adapters, accounts: AccountReader, clerk: Clerk
) -> None:
    await clerk.store(1, accounts=("ordered",))
    for account_id in ("halted", "resumed", None):
        halt = TradingHalt(id=uuid7(), account_id=account_id, halted_at=now(), halted_by="op", halt_reason="a test")
        await begin_halt(adapters.halts, halt)
    await end_halt(adapters.halts, "resumed", by="op", reason="over")
    for limited in ("limited", None):
        await save_limits(adapters.book, AccountLimits(account_id=limited, max_open_orders=1, set_by="op"))

    known = await accounts.known(["ordered", "halted", "resumed", "limited", "nobody", "Ordered"])

    assert set(known) == {"ordered", "halted", "limited"}
    assert set(await accounts.known([])) == set()


async def test_the_last_order_is_the_newest_of_the_account(adapters: Adapters, clerk: Clerk) -> None:
    ids = await clerk.store(4, accounts=("alice", "bob"))
    newest = await adapters.reader.order(ids[2], account_ids=None)

    at = await adapters.accounts.last_order_at("alice")

    assert newest is not None
    assert newest.account_id == "alice"
    assert at == newest.created_at
    assert at.tzinfo is UTC or at.utcoffset() == UTC.utcoffset(None)
    assert await adapters.accounts.last_order_at("nobody") is None
