"""OrderStore, accepting: once for each client order id of an account, in the account's sequence."""

import asyncio

from domain.model.changes import ChangeKind
from domain.model.order import OrderStatus
from domain.ports.order_store import OrderStore
from tests.support.examples import filled, new_order, now
from tests.support.store_driver import Clerk


async def test_an_accepted_order_is_pending_due_immediately_and_the_first_change_of_its_account(
    store: OrderStore,
) -> None:
    order = new_order(at=now())

    stored = await store.store(order)

    assert stored.order.status is OrderStatus.PENDING
    assert stored.order.terms == order.terms
    assert stored.order.placement.next_attempt_at is not None
    assert stored.change is not None
    assert (stored.change.kind, stored.change.sequence, stored.change.order) == (ChangeKind.RECEIVED, 1, stored.order)
    assert await store.oldest_due() is not None


async def test_many_calls_with_one_client_order_id_store_one_order(store: OrderStore) -> None:
    stored = await asyncio.gather(*(store.store(new_order()) for _ in range(100)))

    assert len({one.order.id for one in stored}) == 1
    assert sum(one.change is not None for one in stored) == 1


async def test_one_client_order_id_in_two_accounts_is_two_orders(store: OrderStore) -> None:
    mine, theirs = new_order(), new_order(account_id="other")

    stored = [await store.store(mine), await store.store(theirs)]

    assert [one.order.id for one in stored] == [mine.id, theirs.id]
    assert [one.change.sequence for one in stored if one.change] == [1, 1]


async def test_a_repeat_returns_the_current_order(store: OrderStore, clerk: Clerk) -> None:
    order = new_order()
    await store.store(order)
    await clerk.record({order.id: [filled("40")]})

    again = await store.store(new_order())

    assert again.change is None
    assert again.order.status is OrderStatus.PARTIALLY_FILLED
    assert again.order.filled_quantity == 40
