"""LimitBook, InstrumentPrices, TradingHalts, and what accepting and claiming make of them."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from domain.model.errors import LimitsChangedError, OrderDeniedError
from domain.model.limits import NO_LIMITS, AccountLimits, LastPrice, LimitCode
from domain.model.order import End
from domain.model.order_query import PageRequest
from domain.ports.order_store import OrderStore
from domain.ports.trading_control import HaltFilter, InstrumentPrices, LimitBook, TradingHalt, TradingHalts
from tests.contracts.stores import Adapters
from tests.support.examples import ISIN, accepted, at, busted, ended, filled, new_order, now
from tests.support.operators import begin_halt, clear_limits, end_halt, save_limits
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)
ALL_LIMITS = AccountLimits(
    account_id="alice",
    max_quantity=Decimal("10.5"),
    max_notional=Decimal(1000),
    price_collar_percent=Decimal("2.5"),
    max_open_orders=3,
    max_orders_per_second=2,
    set_by="olga",
)


@pytest.fixture
def book(adapters: Adapters) -> LimitBook:
    """Return the limits under test."""
    return adapters.book


@pytest.fixture
def halts(adapters: Adapters) -> TradingHalts:
    """Return the halts under test."""
    return adapters.halts


def a_halt(account_id: str | None = None) -> TradingHalt:
    """Return a halt that begins now."""
    return TradingHalt(id=uuid7(), account_id=account_id, halted_at=now(), halted_by="olga", halt_reason="fat finger")


async def test_an_account_has_its_own_limits_or_else_the_defaults(book: LimitBook) -> None:
    before = await book.limits_of("alice")
    own = await save_limits(book, ALL_LIMITS)
    defaults = await save_limits(book, AccountLimits(max_quantity=Decimal(5), set_by="olga"))

    assert before == NO_LIMITS
    assert replace(own, set_at=None) == ALL_LIMITS
    assert await book.limits_of("alice", fresh=True) == own
    assert await book.limits_of("bob", fresh=True) == defaults == await book.defaults()
    assert await clear_limits(book, "alice")
    assert await book.limits_of("alice", fresh=True) == defaults
    assert await clear_limits(book, None)
    assert not await clear_limits(book, None)
    assert await book.limits_of("alice", fresh=True) == NO_LIMITS


async def test_limits_that_are_set_again_differ_from_the_previous_ones(book: LimitBook) -> None:
    moments = [(await save_limits(book, ALL_LIMITS)).set_at for _ in range(20)]

    assert len(set(moments)) == 20


async def test_an_order_checked_by_outdated_limits_is_not_stored(store: OrderStore, book: LimitBook) -> None:
    first = await save_limits(book, AccountLimits(max_quantity=Decimal(5), set_by="olga"))
    second = await save_limits(book, AccountLimits(max_quantity=Decimal(4), set_by="olga"))

    for judged_by in (NO_LIMITS, first):
        with pytest.raises(LimitsChangedError):
            await store.store(new_order(), limits=judged_by)

    assert (await store.store(new_order(), limits=second)).change is not None


async def test_of_many_concurrent_orders_the_allowed_number_is_stored(store: OrderStore, book: LimitBook) -> None:
    limits = await save_limits(book, AccountLimits(max_open_orders=10, set_by="olga"))

    outcomes = await _accept(store, 100, limits)

    assert outcomes.count(None) == 10
    assert set(outcomes) == {None, LimitCode.MAX_OPEN_ORDERS}
    assert await book.open_orders("alice") == 10


async def test_an_order_that_ends_makes_room_for_another(store: OrderStore, book: LimitBook, clerk: Clerk) -> None:
    limits = await save_limits(book, AccountLimits(max_open_orders=2, set_by="olga"))
    ids = [(await store.store(new_order(client_order_id=name), limits=limits)).order.id for name in "ab"]

    assert await _accept(store, 1, limits) == [LimitCode.MAX_OPEN_ORDERS]
    await clerk.record({ids[0]: [accepted(), filled("100")], ids[1]: [accepted(), filled("40", name="E2")]})

    assert await book.open_orders("alice") == 1
    assert await _accept(store, 2, limits) == [None, LimitCode.MAX_OPEN_ORDERS]


async def test_open_orders_are_counted_correctly_in_any_state(store: OrderStore, book: LimitBook, clerk: Clerk) -> None:
    ids = await clerk.store(5)
    await clerk.record({ids[0]: [ended(End.CANCELED)], ids[1]: [filled("100")], ids[2]: [filled("1", name="E2")]})
    await clerk.record({ids[0]: [ended(End.CANCELED)], ids[1]: [filled("100")], ids[2]: [filled("1", name="E2")]})
    await clerk.record({ids[1]: [busted()], ids[2]: [ended(End.CANCELED)], ids[3]: [accepted()]})

    loaded = await store.load(ids)

    open_orders = [row for row in loaded.values() if not row.order.status.is_final]
    assert await book.open_orders("alice") == len(open_orders) == 3


async def test_a_repeat_returns_the_stored_order_although_a_new_one_would_be_denied(
    store: OrderStore, book: LimitBook, halts: TradingHalts
) -> None:
    limits = await save_limits(book, AccountLimits(max_open_orders=1, max_orders_per_second=1, set_by="olga"))
    order = new_order()
    await store.store(order, limits=limits)

    full = await store.store(new_order(), limits=limits)
    stale = await store.store(new_order(), limits=NO_LIMITS)
    await begin_halt(halts, a_halt())
    halted = await store.store(new_order(), limits=limits)

    assert {full.order.id, stale.order.id, halted.order.id} == {order.id}
    assert full.change is stale.change is halted.change is None


async def test_a_repeat_takes_no_place_from_a_new_order(store: OrderStore, book: LimitBook) -> None:
    limits = await save_limits(book, AccountLimits(max_open_orders=2, set_by="olga"))
    await store.store(new_order(client_order_id="first"), limits=limits)

    repeats = [store.store(new_order(client_order_id="first"), limits=limits) for _ in range(20)]
    *_, new = await asyncio.gather(*repeats, store.store(new_order(client_order_id="second"), limits=limits))

    assert new.change is not None


async def test_no_second_sees_more_orders_than_its_limit_and_the_next_one_takes_them_again(
    store: OrderStore, book: LimitBook
) -> None:
    limits = await save_limits(book, AccountLimits(max_orders_per_second=5, set_by="olga"))

    outcomes = await _accept(store, 50, limits)

    assert outcomes.count(None) == 5
    assert set(outcomes) == {None, LimitCode.ORDER_RATE}
    async with asyncio.timeout(5):
        while await _accept(store, 1, limits) != [None]:  # noqa: ASYNC110 - the clock sends no event
            await asyncio.sleep(0.02)


async def test_limits_are_each_accounts_own(store: OrderStore, book: LimitBook) -> None:
    limits = await save_limits(book, AccountLimits(account_id="alice", max_open_orders=1, set_by="olga"))

    mine = await _accept(store, 3, limits)
    theirs = await _accept(store, 3, NO_LIMITS, account_id="bob")

    assert sorted(map(str, mine)) == ["MAX_OPEN_ORDERS", "MAX_OPEN_ORDERS", "None"]
    assert theirs == [None] * 3


@pytest.mark.parametrize("whom", ["alice", None])
async def test_a_halt_prevents_storing_and_claiming_until_it_is_resumed(
    store: OrderStore, halts: TradingHalts, clerk: Clerk, whom: str | None
) -> None:
    ids = await clerk.store(2)
    await begin_halt(halts, a_halt(whom))

    assert await _accept(store, 1, NO_LIMITS) == [LimitCode.TRADING_HALTED]
    assert await store.claim(ids, lease=LEASE) == []
    assert await store.claim_due(limit=9, overdue_by=-LEASE, lease=LEASE) == []
    assert (await _accept(store, 1, NO_LIMITS, account_id="bob") == [None]) is (whom is not None)

    await end_halt(halts, whom, by="olga", reason="mended")

    assert await _accept(store, 1, NO_LIMITS) == [None]
    assert {claim.order.id for claim in await store.claim(ids, lease=LEASE)} == set(ids)


async def test_in_a_halt_an_order_that_may_have_been_sent_is_claimed_to_be_looked_up(
    store: OrderStore, halts: TradingHalts, clerk: Clerk
) -> None:
    ids = await clerk.store(2)
    await store.claim(ids[:1], lease=-LEASE)
    await begin_halt(halts, a_halt())

    (claim,) = await store.claim(ids, lease=LEASE)

    assert (claim.order.id, claim.is_halted) == (ids[0], True)


async def test_halting_twice_is_one_halt_and_resuming_stores_operator_action_and_reason(halts: TradingHalts) -> None:
    first = await begin_halt(halts, a_halt("alice"))
    again = await begin_halt(halts, a_halt("alice"))
    everybody = await begin_halt(halts, a_halt())

    ended = await end_halt(halts, "alice", by="otto", reason="mended")
    second = await begin_halt(halts, a_halt("alice"))

    assert again == first
    assert ended is not None
    assert (ended.id, ended.halted_by, ended.halt_reason) == (first.id, "olga", "fat finger")
    assert (ended.resumed_by, ended.resume_reason) == ("otto", "mended")
    assert ended.resumed_at is not None
    assert second.id not in (first.id, everybody.id)
    assert await end_halt(halts, "bob", by="otto", reason="a mistake") is None
    assert {halt.id for halt in await halts.open_halts()} == {everybody.id, second.id}


async def test_the_trail_shows_every_halt_the_newest_first(halts: TradingHalts) -> None:
    ids = []
    for whom in ("alice", "bob", None, "alice"):
        await end_halt(halts, whom, by="olga", reason="next")
        ids.append((await begin_halt(halts, a_halt(whom))).id)

    async def shown(wanted: HaltFilter, after: UUID | None = None) -> list[UUID]:
        page = await halts.page(PageRequest(limit=3, after=after), filter=wanted)
        return [halt.id for halt in page.rows]

    assert await shown(HaltFilter()) == ids[:0:-1]
    assert await shown(HaltFilter(), after=ids[1]) == ids[:1]
    assert await shown(HaltFilter(is_open=True)) == ids[:0:-1]
    assert await shown(HaltFilter(is_open=False)) == ids[:1]
    assert await shown(HaltFilter(account_id="bob")) == [ids[2], ids[1]]
    assert {halt.id for halt in await halts.find([ids[0], uuid7()])} == {ids[0]}


async def test_an_account_is_halted_by_its_own_halt_and_by_that_of_all(halts: TradingHalts) -> None:
    await begin_halt(halts, a_halt("alice"))
    own = [await halts.is_halted(account_id) for account_id in ("alice", "bob")]
    halted = await halts.halted_accounts()
    await begin_halt(halts, a_halt())

    assert own == [True, False]
    assert set(halted) == {"alice"}
    assert await halts.is_halted("bob")
    assert set(await halts.halted_accounts()) == {"alice", None}
    await end_halt(halts, None, by="olga", reason="mended")
    assert set(await halts.halted_accounts()) == {"alice"}


async def test_the_newest_price_of_an_instrument_is_stored(adapters: Adapters) -> None:
    prices: InstrumentPrices = adapters.prices
    before = await adapters.other_prices().last_price(ISIN)

    await prices.save([_price("10", second=2), _price("11", second=3), _price("9", second=1)])
    await prices.save([_price("8", second=2)])

    assert before is None
    assert await adapters.other_prices().last_price(ISIN) == _price("11", second=3)


def _price(price: str, *, second: int) -> LastPrice:
    return LastPrice(isin=ISIN, price=Decimal(price), at=at(second))


async def _accept(
    store: OrderStore, count: int, limits: AccountLimits, *, account_id: str = "alice"
) -> list[LimitCode | None]:
    """Store that number of orders together; return for each the code of its denial, None when it was stored."""
    orders = [new_order(account_id=account_id, client_order_id=uuid7().hex) for _ in range(count)]
    results = await asyncio.gather(*(store.store(order, limits=limits) for order in orders), return_exceptions=True)
    outcomes: list[LimitCode | None] = []
    for result in results:
        if isinstance(result, OrderDeniedError):
            outcomes.append(LimitCode(result.code))
        elif isinstance(result, BaseException):
            raise result
        else:
            outcomes.append(None)
    return outcomes
