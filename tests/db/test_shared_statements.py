"""Concurrent writes and reads share a statement, and none of them makes another fail."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from uuid_utils.compat import uuid7

from db.order_reader import PostgresOrderReader
from db.trading_halts import PostgresTradingHalts
from domain.model.errors import VersionConflictError
from domain.ports.order_store import OrderWrite
from domain.ports.trading_control import TradingHalt
from tests.support.counting_database import counting_database
from tests.support.examples import accepted, filled, new_order, now
from tests.support.operators import begin_halt
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk

ORDERS = 50


async def test_orders_written_at_the_same_time_share_a_statement(emptied_database_url: str) -> None:
    async with counting_database(emptied_database_url) as database:
        clerk = Clerk(make_store(database))
        writes = await _placings(clerk)
        before = database.statements

        recorded = await asyncio.gather(*(clerk.orders.write([write]) for write in writes))

    assert [[change.order.id for change in changes] for changes in recorded] == [[one.order.id] for one in writes]
    assert database.statements - before == 1


async def test_attempts_that_look_for_a_halt_at_the_same_time_share_a_read(emptied_database_url: str) -> None:
    async with counting_database(emptied_database_url) as database:
        halts = PostgresTradingHalts(database)
        await begin_halt(
            halts, TradingHalt(id=uuid7(), account_id="bob", halted_at=now(), halted_by="op", halt_reason="fat")
        )
        before = database.statements

        looks = await asyncio.gather(*(halts.is_halted(account) for account in ("alice", "bob", "alice", "carol")))

    assert looks == [False, True, False, False]
    assert database.statements - before == 1


async def test_orders_looked_up_by_their_clients_ids_at_the_same_time_share_a_read(emptied_database_url: str) -> None:
    async with counting_database(emptied_database_url) as database:
        store, reader = make_store(database), PostgresOrderReader(database)
        for account_id in ("alice", "bob"):
            await store.store(new_order(account_id=account_id, client_order_id=f"of-{account_id}"))
        before = database.statements

        found = await asyncio.gather(
            *(
                reader.by_client_order_id(f"of-{whose}", account_id=account_id)
                for whose, account_id in (("alice", "alice"), ("bob", "bob"), ("alice", "bob"), ("alice", "alice"))
            )
        )

    assert [order and order.account_id for order in found] == ["alice", "bob", None, "alice"]
    assert database.statements - before == 1


async def test_orders_read_at_the_same_time_share_a_read_and_each_is_shown_to_its_own_account_only(
    emptied_database_url: str,
) -> None:
    async with counting_database(emptied_database_url) as database:
        reader = PostgresOrderReader(database)
        of_alice, of_bob = await Clerk(make_store(database)).store(2, accounts=["alice", "bob"])
        before = database.statements

        found = await asyncio.gather(
            *(
                reader.order(order_id, account_ids=account_ids)
                for order_id in (of_alice, of_bob, uuid7())
                for account_ids in (("alice",), ("bob", "carol"), None)
            )
        )

    seen = [order and order.id for order in found]
    assert seen == [of_alice, None, of_alice, None, of_bob, of_bob, None, None, None]
    assert database.statements - before == 1


async def test_an_order_that_ends_without_a_change_disturbs_no_other_accounts_numbers(clerk: Clerk) -> None:
    ids = await clerk.store(2, accounts=["alice", "bob"])
    writes = await clerk.decide({order_id: [filled("100", name=str(order_id))] for order_id in ids})

    (change,) = await clerk.orders.write(
        [replace(write, changes=()) if write.order.account_id == "alice" else write for write in writes]
    )

    assert (change.order.account_id, change.sequence) == ("bob", 2)


async def test_a_conflicting_order_fails_without_the_others(clerk: Clerk) -> None:
    writes = await _placings(clerk)
    stale = writes[ORDERS // 2].order.id
    await clerk.record({stale: [filled("1")]})

    outcomes = await asyncio.gather(*(clerk.orders.write([write]) for write in writes), return_exceptions=True)

    pairs = zip(writes, outcomes, strict=True)
    assert [write.order.id for write, outcome in pairs if isinstance(outcome, VersionConflictError)] == [stale]


async def test_two_decisions_about_one_order_are_written_one_after_the_other(clerk: Clerk) -> None:
    first, *_ = writes = await _placings(clerk)

    outcomes = await asyncio.gather(
        *(clerk.orders.write([write]) for write in [*writes, first]), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes].count(VersionConflictError) == 1


async def _placings(clerk: Clerk) -> Sequence[OrderWrite]:
    ids = await clerk.store(ORDERS, accounts=("alice", "bob", "carol"))
    return await clerk.decide({order_id: [accepted(venue_order_id=f"v-{order_id}")] for order_id in ids})
