"""Storing orders: once for each client order id, all waiting ones in one statement, in the account's sequence."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from db.database import Database
from db.engine import open_database
from db.order_inserter import OrderInserter, OrderToInsert
from db.order_store import PostgresOrderStore
from domain.ports.order_store import OrderStored
from tests.support.examples import new_order
from tests.support.postgres_stores import make_store

RACES, IN_A_BATCH = 200, 10


async def test_a_hundred_calls_with_one_client_order_id_store_one_order(
    database_url: str, store: PostgresOrderStore
) -> None:
    async with open_database(database_url, application_name="another API process") as other:
        stores = (store, make_store(other))

        stored = await asyncio.gather(*(stores[number % 2].store(new_order()) for number in range(100)))

    assert len({one.order.id for one in stored}) == 1
    assert sum(one.change is not None for one in stored) == 1


async def test_two_processes_that_store_one_intent_under_its_derived_name_concurrently_store_one_order(
    database_url: str, store: PostgresOrderStore
) -> None:
    async with open_database(database_url, application_name="another API process") as other:
        stores = (store, make_store(other))
        for number in range(RACES):
            pair = [
                replace(new_order(client_order_id=f"c-{number}"), venue_client_order_id=f"test-{number}")
                for _ in stores
            ]

            stored = await asyncio.gather(*(one.store(order) for one, order in zip(stores, pair, strict=True)))

            assert len({one.order.id for one in stored}) == 1


async def test_batches_of_two_processes_that_share_intents_store_each_of_them_once(
    database_url: str, store: PostgresOrderStore, database: Database
) -> None:
    async with open_database(database_url, application_name="another API process") as other:
        stores = (store, make_store(other))
        for race in range(RACES // IN_A_BATCH):
            names = [f"{race}-{number}" for number in range(IN_A_BATCH)]
            calls = [
                one.store(replace(new_order(client_order_id=name), venue_client_order_id=f"test-{name}"))
                for name in names
                for one in stores
            ]

            stored = await asyncio.gather(*calls)

            assert len({one.order.id for one in stored}) == IN_A_BATCH
    (row,) = await database.fetch("SELECT sequence, open_orders FROM accounts")
    assert row["sequence"] == row["open_orders"] == RACES


async def test_in_one_batch_the_first_of_two_orders_with_one_client_order_id_is_stored(database: Database) -> None:
    first, second, other = new_order(), new_order(), new_order(client_order_id="intent-2")

    asked = [OrderToInsert(order=order, limits_set_at=None) for order in (first, second, other)]

    stored = [
        one for one in await OrderInserter(database).insert(asked, locks_first=False) if isinstance(one, OrderStored)
    ]

    assert [one.order.id for one in stored] == [first.id, first.id, other.id]
    assert [one.change is not None for one in stored] == [True, False, True]


async def test_an_order_that_cannot_be_stored_fails_without_the_others(store: PostgresOrderStore) -> None:
    good = [new_order(client_order_id=f"c-{number}") for number in range(10)]
    bad = new_order(client_order_id="x" * 49)

    results = await asyncio.gather(*map(store.store, [*good[:5], bad, *good[5:]]), return_exceptions=True)

    failed = [result for result in results if isinstance(result, BaseException)]
    assert len(failed) == 1
    assert "orders_client_order_id_check" in str(failed[0])


async def test_a_quantity_of_eighteen_digits_on_each_side_is_stored_exactly(store: PostgresOrderStore) -> None:
    largest = Decimal("999999999999999999.999999999999999999")
    order = new_order(quantity=str(largest))
    order = replace(order, terms=replace(order.terms, limit_price=Decimal("0.000000000000000001")))

    await store.store(order)
    again = await store.store(order)

    assert again.order.terms.quantity == largest
    assert again.order.terms.limit_price == Decimal("0.000000000000000001")


async def test_what_would_have_to_be_rounded_is_refused(store: PostgresOrderStore) -> None:
    order = new_order(quantity="0.0000000000000000001")

    with pytest.raises(Exception, match="orders_quantity_check"):
        await store.store(order)
