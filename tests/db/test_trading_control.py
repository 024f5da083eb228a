"""Trading control against the real database: a halt and concurrent statements, several processes, counts, prices."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from db.account_limits import PostgresLimitBook
from db.database import Database
from db.engine import open_database
from db.instrument_prices import PostgresInstrumentPrices
from db.order_inserter import OrderInserter, OrderToInsert
from db.order_reader import PostgresOrderReader
from db.order_store import PostgresOrderStore
from db.trading_halts import PostgresTradingHalts
from domain.model.errors import LimitsChangedError, OrderDeniedError
from domain.model.limits import NO_LIMITS, AccountLimits, LastPrice, LimitCode
from domain.model.order import End, OrderStatus
from domain.ports.order_store import OrderStored
from domain.ports.trading_control import TradingHalt
from domain.services.price_tape import PriceTapeWriter
from tests.support.examples import (
    ISIN,
    accepted,
    at,
    became_unknown,
    busted,
    cancel_asked,
    ended,
    filled,
    given_up,
    new_order,
    now,
)
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.operators import begin_halt, end_halt, save_limits
from tests.support.postgres_stores import VENUE, make_store
from tests.support.processes import eventually
from tests.support.store_driver import Clerk

WAITERS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def a_halt(account_id: str | None = None) -> TradingHalt:
    """Return a halt of all accounts, or of one."""
    return TradingHalt(id=uuid7(), account_id=account_id, halted_at=now(), halted_by="olga", halt_reason="fat finger")


@asynccontextmanager
async def holding(database_url: str, *account_ids: str) -> AsyncIterator[asyncpg.Connection]:
    """Run another process that locks the rows of accounts: a storing process waits in the middle of the statement."""
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM accounts WHERE id = ANY($1) FOR UPDATE", account_ids)
            yield other
    finally:
        await other.close()


Storing = Callable[[Database], Awaitable[object]]


async def _store_one(database: Database) -> object:
    return await make_store(database).store(new_order())


async def _store_a_batch(database: Database) -> object:
    asked = [OrderToInsert(order=new_order(client_order_id=name), limits_set_at=None) for name in ("a", "b")]
    return (await OrderInserter(database).insert(asked, locks_first=False))[0]


async def _store_under_limits(database: Database) -> object:
    limits = AccountLimits(account_id="alice", max_quantity=Decimal(100), set_by="olga")
    limits = await save_limits(PostgresLimitBook(database, cache_seconds=5), limits)
    return await make_store(database).store(new_order(), limits=limits)


async def _store_under_limits_of_the_load(database: Database) -> object:
    limits = AccountLimits(account_id="alice", max_open_orders=10, set_by="olga")
    limits = await save_limits(PostgresLimitBook(database, cache_seconds=5), limits)
    return await make_store(database).store(new_order(), limits=limits)


@pytest.mark.parametrize("storing", [_store_one, _store_a_batch, _store_under_limits, _store_under_limits_of_the_load])
async def test_a_halt_is_answered_only_when_no_statement_from_before_can_store_an_order_any_more(
    storing: Storing, database_url: str, database: Database, store: PostgresOrderStore, clerk: Clerk
) -> None:
    await clerk.store(1)
    halts = PostgresTradingHalts(database)

    async with holding(database_url, "alice") as other:
        accepting = asyncio.ensure_future(storing(database))
        await eventually(lambda: _waiters(other, 1), within_seconds=5)
        halting = asyncio.create_task(begin_halt(halts, a_halt()))
        await eventually(lambda: _waiters(other, 2), within_seconds=5)
        # It applies to new statements already, and is not answered yet because of earlier ones.
        assert await other.fetchval("SELECT count(*) FROM trading_halts") == 1
        answered_too_early = halting.done()
    await halting
    stored = await accepting

    assert not answered_too_early
    assert isinstance(stored, OrderStored)
    assert stored.change is not None
    with pytest.raises((OrderDeniedError, LimitsChangedError)):
        await store.store(new_order(client_order_id="after"))


async def test_of_many_orders_at_two_processes_as_many_are_stored_as_may_be_open(database_url: str) -> None:
    async with (
        open_database(database_url, application_name="1") as one,
        open_database(database_url, application_name="2") as two,
    ):
        book = PostgresLimitBook(one, cache_seconds=5)
        limits = await save_limits(book, AccountLimits(max_open_orders=10, set_by="olga"))
        stores = [make_store(one), make_store(two)]
        orders = [new_order(client_order_id=uuid7().hex) for _ in range(100)]

        results = await asyncio.gather(
            *(stores[number % 2].store(order, limits=limits) for number, order in enumerate(orders)),
            return_exceptions=True,
        )

        denials = [result for result in results if isinstance(result, OrderDeniedError)]
        assert len(denials) == 90
        assert {denial.code for denial in denials} == {LimitCode.MAX_OPEN_ORDERS}
        assert await book.open_orders("alice") == 10


async def test_a_rate_is_shared_by_all_processes_and_that_of_the_settings_holds_where_no_limit_names_one(
    database_url: str,
) -> None:
    async with (
        open_database(database_url, application_name="1") as one,
        open_database(database_url, application_name="2") as two,
    ):
        own = await save_limits(
            PostgresLimitBook(one, cache_seconds=5),
            AccountLimits(account_id="bob", max_orders_per_second=9, set_by="olga"),
        )
        stores = [
            PostgresOrderStore(database, venue=VENUE, telemetry=RecordingTelemetry(), max_orders_per_second=5)
            for database in (one, two)
        ]

        async def accepted(account_id: str, limits: AccountLimits) -> int:
            orders = [new_order(account_id=account_id, client_order_id=uuid7().hex) for _ in range(40)]
            results = await asyncio.gather(
                *(stores[number % 2].store(order, limits=limits) for number, order in enumerate(orders)),
                return_exceptions=True,
            )
            return sum(not isinstance(result, OrderDeniedError) for result in results)

        assert await accepted("alice", NO_LIMITS) == 5
        assert await accepted("bob", own) == 9


async def test_accounts_with_and_without_limits_do_not_deadlock(database_url: str) -> None:
    async with (
        open_database(database_url, application_name="1") as one,
        open_database(database_url, application_name="2") as two,
    ):
        book = PostgresLimitBook(one, cache_seconds=5)
        limits = {
            name: await save_limits(book, AccountLimits(account_id=name, max_open_orders=10**6, set_by="olga"))
            for name in ("b", "d")
        }
        stores = [make_store(one), make_store(two)]
        clerks = [Clerk(store) for store in stores]
        before = await _deadlocks(one)

        async def work(number: int) -> None:
            for _ in range(10):
                placed = await asyncio.gather(
                    *(
                        stores[number].store(
                            new_order(account_id=name, client_order_id=uuid7().hex), limits=limits.get(name, NO_LIMITS)
                        )
                        for name in "dcba"
                    )
                )
                await clerks[number].record({one.order.id: [filled("100", name=uuid7().hex)] for one in placed})

        await asyncio.gather(work(0), work(1))

        assert await _deadlocks(one) == before
        assert [await book.open_orders(name) for name in "abcd"] == [0] * 4


async def test_a_key_at_two_processes_does_not_deadlock_where_only_one_of_the_accounts_with_it_is_limited(
    database_url: str,
) -> None:
    async with (
        open_database(database_url, application_name="1") as one,
        open_database(database_url, application_name="2") as two,
    ):
        limits = await save_limits(
            PostgresLimitBook(one, cache_seconds=5),
            AccountLimits(account_id="limited", max_open_orders=10**6, set_by="olga"),
        )
        stores = [make_store(one), make_store(two)]
        of = {"limited": limits}
        before = await _deadlocks(one)

        def accepting(store: PostgresOrderStore, keys: list[tuple[str, str]]) -> "asyncio.Future[list[OrderStored]]":
            orders = [new_order(account_id=name, client_order_id=key) for name, key in keys]
            return asyncio.gather(*(store.store(order, limits=of.get(order.account_id, NO_LIMITS)) for order in orders))

        await accepting(stores[0], [(name, "first") for name in ("0", "A", "limited")])
        async with holding(database_url, "0") as other:
            first = accepting(stores[0], [("0", "x"), ("A", "x")])
            await eventually(lambda: _waiters(other, 1), within_seconds=5)
            second = accepting(stores[1], [("A", "x"), ("limited", "y")])
            await eventually(lambda: _waiters(other, 2), within_seconds=5)
        stored = await first
        (repeated, limited) = await second

        assert await _deadlocks(one) == before
        assert repeated.order.id == stored[1].order.id
        assert limited.change is not None


async def test_an_order_checked_by_old_limits_is_not_stored_with_one_checked_by_new_limits(
    database: Database, store: PostgresOrderStore
) -> None:
    book = PostgresLimitBook(database, cache_seconds=5)
    old = await save_limits(book, AccountLimits(account_id="alice", max_quantity=Decimal(1000), set_by="olga"))
    new = await save_limits(book, AccountLimits(account_id="alice", max_quantity=Decimal(10), set_by="olga"))

    for judged_by in (old, NO_LIMITS):
        results = await asyncio.gather(
            store.store(new_order(client_order_id="big", quantity="100"), limits=judged_by),
            store.store(new_order(client_order_id="small", quantity="1"), limits=new),
            return_exceptions=True,
        )

        assert [type(result) for result in results] == [LimitsChangedError, LimitsChangedError]


async def test_a_halt_waits_for_no_reader_and_holds_up_no_order(
    database_url: str, database: Database, store: PostgresOrderStore
) -> None:
    halts = PostgresTradingHalts(database)
    await begin_halt(halts, a_halt("bob"))
    await store.store(new_order(client_order_id="before"))
    reader = await asyncpg.connect(database_url)
    try:
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            await reader.execute("LOCK TABLE trading_halts IN ACCESS SHARE MODE")  # As pg_dump does.
            async with asyncio.timeout(1):
                _, stored, _, ended = await asyncio.gather(
                    begin_halt(halts, a_halt("carol")),
                    store.store(new_order(client_order_id="beside")),
                    store.claim([], lease=timedelta(seconds=1)),
                    end_halt(halts, "bob", by="olga", reason="mended"),
                )
    finally:
        await reader.close()

    assert stored.change is not None
    assert ended is not None


async def test_a_halt_waits_for_claims_that_began_before_it_and_its_end_for_none(
    database_url: str, database: Database, store: PostgresOrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    halts = PostgresTradingHalts(database)
    await begin_halt(halts, a_halt("bob"))
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM orders FOR UPDATE")
            claiming = asyncio.create_task(store.claim([order_id], lease=timedelta(seconds=9)))
            await eventually(lambda: _waiters(other, 1), within_seconds=5)
            ended = await end_halt(halts, "bob", by="olga", reason="mended")
            halting = asyncio.create_task(begin_halt(halts, a_halt()))
            await eventually(lambda: _waiters(other, 2), within_seconds=5)
            answered_too_early = halting.done()
        await halting
    finally:
        await other.close()

    assert ended is not None
    assert not answered_too_early
    assert [claim.order.id for claim in await claiming] == [order_id]


async def test_an_order_that_waits_for_the_end_of_a_halt_shows_it(database: Database, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await begin_halt(PostgresTradingHalts(database), a_halt())

    order = await PostgresOrderReader(database).order(order_id, account_ids=("alice",))

    assert order is not None
    assert order.status is OrderStatus.PENDING
    assert order.placement.next_attempt_at is None
    assert order.placement.last_error is not None
    assert "halted" in order.placement.last_error


async def test_open_orders_can_be_recounted(database: Database, clerk: Clerk) -> None:
    await clerk.store(6, accounts=["alice", "bob"])
    book = PostgresLimitBook(database, cache_seconds=5)
    await database.fetch("UPDATE accounts SET open_orders = 99 WHERE id = 'alice'")

    assert await book.recount_open_orders() == 1
    assert await book.recount_open_orders() == 0
    assert await book.open_orders("alice") == 3


async def test_the_second_of_two_recounts_finds_nothing_left_to_fix(database_url: str, clerk: Clerk) -> None:
    await clerk.store(2)
    async with open_database(database_url, application_name="1") as database:
        book = PostgresLimitBook(database, cache_seconds=5)
        await database.fetch("UPDATE accounts SET open_orders = 99")
        async with holding(database_url, "alice") as other:
            recounts = [asyncio.create_task(book.recount_open_orders()) for _ in range(2)]
            await eventually(lambda: _waiters(other, 2), within_seconds=5)
        await asyncio.gather(*recounts)

        assert await book.open_orders("alice") == 2


async def test_open_orders_can_be_recounted_under_constant_load(database: Database, clerk: Clerk) -> None:
    await clerk.store(1)
    book = PostgresLimitBook(database, cache_seconds=5)
    await database.fetch("UPDATE accounts SET open_orders = 99")
    over = asyncio.Event()

    async def work() -> int:
        placed = 0
        while not over.is_set():
            await clerk.store(1)
            placed += 1
        return placed

    working = [asyncio.create_task(work()) for _ in range(4)]
    try:
        async with asyncio.timeout(1):
            wrong = await book.recount_open_orders()
    finally:
        over.set()
        placed = sum(await asyncio.gather(*working))

    assert wrong == 1
    assert await book.open_orders("alice") == 1 + placed


async def test_an_order_in_any_state_is_recounted_as_it_was_counted(
    database: Database, store: PostgresOrderStore, clerk: Clerk
) -> None:
    ids = await clerk.store(9)
    await store.claim(ids[:2], lease=timedelta(seconds=9))
    await clerk.record(
        {
            ids[1]: [became_unknown()],
            ids[2]: [accepted()],
            ids[3]: [filled("1", name="E3")],
            ids[4]: [filled("100", name="E4")],
            ids[5]: [filled("100", name="E5"), busted("E5")],
            ids[6]: [given_up()],
            ids[7]: [ended(End.CANCELED)],
            ids[8]: [accepted(), cancel_asked()],
        }
    )
    book = PostgresLimitBook(database, cache_seconds=5)

    assert await book.recount_open_orders() == 0
    assert await book.open_orders("alice") == 6


async def test_a_number_below_zero_and_moments_of_the_future_allow_exactly_the_limit(
    database: Database, store: PostgresOrderStore, clerk: Clerk
) -> None:
    await clerk.store(1)
    book = PostgresLimitBook(database, cache_seconds=5)
    limits = await save_limits(book, AccountLimits(max_open_orders=2, max_orders_per_second=3, set_by="olga"))
    await database.fetch(
        "UPDATE accounts SET open_orders = -5, accepted_at = array_fill(now() + interval '1 hour', ARRAY[9])"
    )

    shown = await book.open_orders("alice")
    results = await asyncio.gather(
        *(store.store(new_order(client_order_id=name), limits=limits) for name in "abcd"), return_exceptions=True
    )

    assert shown == 0
    assert [type(result) for result in results] == [OrderStored, OrderStored, OrderDeniedError, OrderDeniedError]


async def test_a_price_from_the_future_counts_as_one_of_this_moment(database: Database) -> None:
    prices = PostgresInstrumentPrices(database, cache_seconds=0)
    ahead = LastPrice(isin=ISIN, price=Decimal(10), at=now() + timedelta(days=1))
    behind = LastPrice(isin=ISIN, price=Decimal(11), at=now() - timedelta(days=1))

    first = await prices.save([ahead])
    too_old = await prices.save([behind])
    next_one = await prices.save([replace(behind, at=now() + timedelta(seconds=1))])

    assert (set(first), set(too_old), set(next_one)) == ({ISIN}, set(), {ISIN})
    assert await _is(prices, "11")


async def test_the_tape_writes_the_newest_price_soon_and_what_is_left_when_it_stops(database: Database) -> None:
    prices = PostgresInstrumentPrices(database, cache_seconds=0)
    tape = PriceTapeWriter(prices, every_seconds=0.05, telemetry=RecordingTelemetry())
    running = asyncio.create_task(tape.run())

    tape.note([_price("10", second=1), _price("12", second=3), _price("11", second=2)])
    await eventually(lambda: _is(prices, "12"), within_seconds=5)
    tape.note([_price("13", second=4)])
    running.cancel()
    await asyncio.wait([running])

    assert await _is(prices, "13")


async def _is(prices: PostgresInstrumentPrices, price: str) -> bool:
    found = await prices.last_price(ISIN)
    return found is not None and found.price == Decimal(price)


def _price(price: str, *, second: int) -> LastPrice:
    return LastPrice(isin=ISIN, price=Decimal(price), at=at(second))


async def _waiters(connection: asyncpg.Connection, count: int) -> bool:
    return bool(await connection.fetchval(WAITERS) >= count)


async def _deadlocks(database: Database) -> int:
    await database.fetch("SELECT pg_stat_clear_snapshot()")
    (row,) = await database.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    deadlocks: int = row["deadlocks"]
    return deadlocks
