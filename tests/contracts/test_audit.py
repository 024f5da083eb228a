"""OperatorActions and AccountSeals: what is stored with an action, and what is sealed of the changes."""

import asyncio
from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from domain.model.audit_chain import account_genesis, action_hash, actions_genesis
from domain.model.limits import AccountLimits, LastPrice
from domain.model.operator_actions import ActionFilter, ActionKind, limits_state
from domain.model.order_query import PageRequest
from domain.model.reports import CancelRequested
from domain.ports.audit import ChangeRange, NewSeal
from domain.ports.trading_control import TradingHalt
from domain.services.sealing import head_after
from tests.contracts.stores import Adapters
from tests.support.examples import ISIN, accepted, filled, now
from tests.support.operators import an_action, begin_halt, clear_limits, end_halt, save_limits
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)


def a_halt(account_id: str | None = None) -> TradingHalt:
    return TradingHalt(id=uuid7(), account_id=account_id, halted_at=now(), halted_by="olga", halt_reason="r")


async def test_every_action_of_an_operator_is_in_the_trail_once_and_in_its_order(
    adapters: Adapters, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    [write] = await clerk.decide({order_id: [CancelRequested(at=now())]})

    await begin_halt(adapters.halts, a_halt("alice"))
    await begin_halt(adapters.halts, a_halt("alice"))
    await end_halt(adapters.halts, "alice", by="olga", reason="mended")
    await end_halt(adapters.halts, "alice", by="olga", reason="mended")
    await save_limits(adapters.book, AccountLimits(max_open_orders=5, set_by="olga"))
    await clear_limits(adapters.book, None)
    await clear_limits(adapters.book, None)
    price = LastPrice(isin=ISIN, price=write.order.terms.quantity, at=now())
    assert await adapters.prices.set(price, replaces=None, action=an_action(ActionKind.PRICE_SET))
    assert not await adapters.prices.set(price, replaces=None, action=an_action(ActionKind.PRICE_SET))
    assert not await adapters.prices.set(price, replaces=price, action=an_action(ActionKind.PRICE_SET))
    await adapters.orders.write([write], action=an_action(ActionKind.CANCEL_REQUESTED))

    page = await adapters.actions.page(PageRequest(limit=10), filter=ActionFilter())
    oldest_first = page.rows[::-1]
    assert [row.action for row in oldest_first] == [
        "TRADING_HALTED",
        "TRADING_RESUMED",
        "LIMITS_SET",
        "LIMITS_CLEARED",
        "PRICE_SET",
        "CANCEL_REQUESTED",
    ]
    previous = actions_genesis().hash
    for number, row in enumerate(oldest_first, start=1):
        assert (row.sequence, row.hash) == (number, action_hash(previous, row))
        assert (row.actor, row.token_id, row.address, row.reason) == ("olga", "t-1", "192.0.2.7", "a test")
        previous = row.hash


async def test_actions_are_paged_filtered_and_found_by_their_ids(adapters: Adapters) -> None:
    for account_id in ("alice", "bob", "alice", None):
        await adapters.halts.halt(a_halt(account_id), action=an_action(account_id=account_id))
        await end_halt(adapters.halts, account_id, by="olga", reason="next")

    newest = await adapters.actions.page(PageRequest(limit=3), filter=ActionFilter())
    behind = await adapters.actions.page(PageRequest(limit=10, after=newest.rows[-1].sequence), filter=ActionFilter())
    of_alice = await adapters.actions.page(PageRequest(limit=10), filter=ActionFilter(account_id="alice"))
    of_an_order = await adapters.actions.page(PageRequest(limit=10), filter=ActionFilter(order_id=uuid7()))
    found = await adapters.actions.find([newest.rows[0].id, uuid7()])

    assert [row.sequence for row in newest.rows] == [8, 7, 6]
    assert (newest.has_next, newest.has_previous) == (True, False)
    assert [row.sequence for row in behind.rows] == [5, 4, 3, 2, 1]
    assert [row.sequence for row in of_alice.rows] == [5, 1]
    assert not of_an_order.rows
    assert [row.sequence for row in found] == [8]


async def test_limits_replaced_by_a_concurrent_action_are_neither_replaced_nor_cleared(
    adapters: Adapters,
) -> None:
    first = await save_limits(adapters.book, AccountLimits(max_open_orders=5, set_by="olga"))
    second = await save_limits(adapters.book, AccountLimits(max_open_orders=6, set_by="otto"))

    outcomes = await asyncio.gather(
        adapters.book.save(first, replaces=first, action=an_action()),
        adapters.book.save(first, replaces=None, action=an_action()),
        adapters.book.clear(first, action=an_action()),
        return_exceptions=True,
    )
    await clear_limits(adapters.book, None)
    gone = await asyncio.gather(
        adapters.book.save(first, replaces=second, action=an_action()),
        adapters.book.clear(second, action=an_action()),
        return_exceptions=True,
    )

    assert {type(outcome).__name__ for outcome in (*outcomes, *gone)} == {"VersionConflictError"}
    assert await adapters.book.own_limits(None) is None
    page = await adapters.actions.page(PageRequest(limit=10), filter=ActionFilter())
    assert len(page.rows) == 3
    assert limits_state(second) != limits_state(first)


async def test_one_process_at_a_time_seals(adapters: Adapters) -> None:
    one, two = uuid7(), uuid7()

    turns = [await adapters.seals.lead(holder, lease=LEASE) for holder in (one, two, one)]
    over = await adapters.seals.lead(one, lease=timedelta(0))
    taken = await adapters.seals.lead(two, lease=LEASE)

    assert (turns, over, taken) == ([True, False, True], True, True)


async def test_what_is_committed_is_unsealed_until_a_seal_covers_it(adapters: Adapters, clerk: Clerk) -> None:
    (order_id, _) = await clerk.store(2, accounts=("alice", "bob"))
    await clerk.record({order_id: [accepted()]})
    await clerk.record({order_id: [filled("100", cumulative="100")]})
    unsealed = {one.account_id: one for one in await adapters.seals.unsealed(limit=10)}
    wanted = [ChangeRange(account_id="alice", after=1, up_to=3), ChangeRange(account_id="bob", after=0, up_to=9)]
    changes = await adapters.seals.changes(wanted)
    start = account_genesis("bob")
    head = head_after(start, changes["bob"])
    seal = NewSeal(account_id="bob", replaces=start, head=head)

    sealed = await adapters.seals.seal([seal])
    again = await adapters.seals.seal([seal])

    assert {name: (one.sequence, one.head) for name, one in unsealed.items()} == {
        "alice": (3, account_genesis("alice")),
        "bob": (1, start),
    }
    assert [(change.sequence, change.kind) for change in changes["alice"]] == [(2, "PLACED"), (3, "FILL")]
    assert [change.sequence for change in changes["bob"]] == [1]
    assert (set(sealed), set(again)) == ({"bob"}, set())
    assert [one.account_id for one in await adapters.seals.unsealed(limit=10)] == ["alice"]
    assert await adapters.seals.heads(["alice", "bob"]) == {"alice": account_genesis("alice"), "bob": head}
    together = await asyncio.gather(*(adapters.seals.head(account_id) for account_id in ("bob", "alice", "bob")))
    assert together == [head, account_genesis("alice"), head]


@pytest.mark.parametrize("limit", [1, 2])
async def test_the_account_sealed_longest_ago_is_first(adapters: Adapters, clerk: Clerk, limit: int) -> None:
    await clerk.store(3, accounts=("alice", "bob", "carol"))
    for name in ("carol", "alice"):
        start = account_genesis(name)
        (changes,) = (await adapters.seals.changes([ChangeRange(account_id=name, after=0, up_to=1)])).values()
        await adapters.seals.seal([NewSeal(account_id=name, replaces=start, head=head_after(start, changes))])
    await clerk.store(3, accounts=("alice", "bob", "carol"))

    found = await adapters.seals.unsealed(limit=limit)

    assert [one.account_id for one in found] == ["bob", "carol"][:limit]
    broken_last = await adapters.seals.unsealed(limit=limit, last={"bob"})
    assert [one.account_id for one in broken_last] == ["carol", "alice"][:limit]
