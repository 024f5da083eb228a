"""Accepting orders: once for each client order id, all that wait in one statement, in the account's sequence."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from db.accepting import Accepting
from db.database import Database
from db.engine import open_database
from db.order_store import PostgresOrderStore
from domain.changes import ChangeKind
from domain.order import OrderStatus
from tests.db.desk import Desk, fill, make_store
from tests.orders import new_order


async def test_an_accepted_order_is_pending_due_at_once_and_the_first_change_of_its_account(
    store: PostgresOrderStore,
) -> None:
    order = new_order()

    stored = await store.accept(order)

    assert stored.order.status is OrderStatus.PENDING
    assert stored.order.terms == order.terms
    assert stored.order.placement.next_attempt_at is not None
    assert stored.change is not None
    assert (stored.change.kind, stored.change.sequence, stored.change.order) == (ChangeKind.RECEIVED, 1, stored.order)


async def test_a_hundred_calls_with_one_client_order_id_store_one_order(
    database_url: str, store: PostgresOrderStore
) -> None:
    async with open_database(database_url, application_name="another API process") as other:
        stores = (store, make_store(other))

        stored = await asyncio.gather(*(stores[number % 2].accept(new_order()) for number in range(100)))

    assert len({one.order.id for one in stored}) == 1
    assert sum(one.change is not None for one in stored) == 1


async def test_in_one_batch_the_first_of_two_orders_with_one_client_order_id_is_stored(database: Database) -> None:
    first, second, other = new_order(), new_order(), new_order(client_order_id="c-2")

    stored = await Accepting(database).accept([first, second, other])

    assert [one.order.id for one in stored] == [first.id, first.id, other.id]
    assert [one.change is not None for one in stored] == [True, False, True]


async def test_one_client_order_id_in_two_accounts_is_two_orders(store: PostgresOrderStore) -> None:
    mine, theirs = new_order(), new_order(account_id="other")

    stored = [await store.accept(mine), await store.accept(theirs)]

    assert [one.order.id for one in stored] == [mine.id, theirs.id]
    assert [one.change.sequence for one in stored if one.change] == [1, 1]


async def test_a_repeat_gives_the_order_as_it_stands_now(store: PostgresOrderStore, desk: Desk) -> None:
    order = new_order()
    await store.accept(order)
    await desk.record({order.id: [fill("e-1", "40")]})

    again = await store.accept(new_order())

    assert again.change is None
    assert again.order.status is OrderStatus.PARTIALLY_FILLED
    assert again.order.filled_quantity == 40


async def test_an_order_that_cannot_be_stored_fails_alone(store: PostgresOrderStore) -> None:
    good = [new_order(client_order_id=f"c-{number}") for number in range(10)]
    bad = new_order(client_order_id="x" * 49)

    results = await asyncio.gather(*map(store.accept, [*good[:5], bad, *good[5:]]), return_exceptions=True)

    failed = [result for result in results if isinstance(result, BaseException)]
    assert len(failed) == 1
    assert "orders_client_order_id_check" in str(failed[0])


async def test_a_quantity_of_eighteen_digits_on_each_side_is_kept_exactly(store: PostgresOrderStore) -> None:
    largest = Decimal("999999999999999999.999999999999999999")
    order = new_order(quantity=largest)
    order = replace(order, terms=replace(order.terms, limit_price=Decimal("0.000000000000000001")))

    await store.accept(order)
    again = await store.accept(order)

    assert again.order.terms.quantity == largest
    assert again.order.terms.limit_price == Decimal("0.000000000000000001")


async def test_what_would_have_to_be_rounded_is_refused(store: PostgresOrderStore) -> None:
    order = new_order(quantity=Decimal("0.0000000000000000001"))

    with pytest.raises(Exception, match="orders_quantity_check"):
        await store.accept(order)
