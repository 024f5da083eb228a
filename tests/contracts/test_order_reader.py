"""OrderReader: what is visible, stable pages while rows are added, histories with the order after each change."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from domain.model.accounts import VisibleAccounts
from domain.model.changes import ChangeKind, OrderSnapshot, VenueOrderView
from domain.model.order import End, OrderStatus, VenueCount
from domain.model.order_query import OrderFilter, OrderKey, OrderSort, PageRequest
from domain.model.reports import OrderReplaced
from domain.model.values import Side
from domain.ports.order_store import OrderStore
from domain.ports.readers import OrderReader
from tests.support.examples import accepted, at, busted, corrected, ended, filled, new_order, now, restated
from tests.support.fakes.clock import MIDNIGHT
from tests.support.store_driver import Clerk

NEWEST = 1_000
MINE = OrderFilter(account_ids=("alice",))
KEYS: dict[OrderSort, Callable[[OrderSnapshot], OrderKey]] = {
    OrderSort.CREATED_DESC: lambda order: OrderKey(at=order.created_at, id=order.id),
    OrderSort.CREATED_ASC: lambda order: OrderKey(at=order.created_at, id=order.id),
    OrderSort.UPDATED_DESC: lambda order: OrderKey(at=order.updated_at, id=order.id),
}


async def test_an_order_is_seen_by_its_account_and_by_operators_only(reader: OrderReader, clerk: Clerk) -> None:
    mine, theirs = await clerk.store(2, accounts=("alice", "other"))

    assert await reader.order(theirs, account_ids=("alice",)) is None
    seen = await reader.orders_by_id([mine, theirs, uuid7()], account_ids=("alice",))
    assert list(seen) == [mine]
    assert set(await reader.orders_by_id([mine, theirs], account_ids=None)) == {mine, theirs}


async def test_an_order_is_found_by_its_client_order_id(reader: OrderReader, store: OrderStore) -> None:
    order = new_order(client_order_id="mine")
    stored = await store.store(order)

    assert await reader.by_client_order_id("mine", account_id="alice") == stored.order
    assert await reader.by_client_order_id("mine", account_id="other") is None


@pytest.mark.parametrize("account_ids", [("alice",), ("alice", "nobody"), None])
@pytest.mark.parametrize("sort", list(OrderSort))
async def test_pages_walked_both_ways_show_every_order_once(
    reader: OrderReader, clerk: Clerk, sort: OrderSort, account_ids: VisibleAccounts
) -> None:
    ids = await clerk.store(11, accounts=("alice",))
    for order_id in (ids[4], ids[0], ids[9], ids[4]):
        await clerk.record({order_id: [filled("1", name=str(uuid7()))]})

    forwards = await _walk(reader, sort, OrderFilter(account_ids=account_ids))
    backwards = await _walk(reader, sort, OrderFilter(account_ids=account_ids), backwards=True)

    assert {order.id for order in forwards} == set(ids)
    assert len(forwards) == 11
    assert backwards == forwards[::-1]
    keys = [(KEYS[sort](order).at, order.id) for order in forwards]
    assert keys == sorted(keys, reverse=sort is not OrderSort.CREATED_ASC)


@pytest.mark.parametrize("sort", list(OrderSort))
async def test_orders_added_while_paging_neither_repeat_nor_hide_others(
    reader: OrderReader, clerk: Clerk, sort: OrderSort
) -> None:
    ids = await clerk.store(6)
    first = await reader.page(PageRequest(limit=3), sort=sort, filter=MINE)
    await clerk.store(3)
    await clerk.record({first.rows[1].id: [filled("1", name="e-1")], first.rows[2].id: [filled("1", name="e-2")]})

    key = KEYS[sort](first.rows[-1])
    second = await reader.page(PageRequest(limit=3, after=key), sort=sort, filter=MINE)

    assert first.has_next
    assert second.has_previous
    assert [order.id for order in (*first.rows, *second.rows)] == (ids if sort is OrderSort.CREATED_ASC else ids[::-1])


async def test_a_page_between_two_keys_knows_what_lies_outside(reader: OrderReader, clerk: Clerk) -> None:
    await clerk.store(5)
    rows = (await reader.page(PageRequest(limit=5), sort=OrderSort.CREATED_ASC, filter=MINE)).rows
    keys = [KEYS[OrderSort.CREATED_ASC](order) for order in rows]

    inner = await reader.page(
        PageRequest(limit=5, after=keys[0], before=keys[4]), sort=OrderSort.CREATED_ASC, filter=MINE
    )
    last = await reader.page(PageRequest(limit=2, backwards=True), sort=OrderSort.CREATED_ASC, filter=MINE)

    assert list(inner.rows) == list(rows[1:4])
    assert (inner.has_previous, inner.has_next) == (True, True)
    assert list(last.rows) == list(rows[3:])
    assert (last.has_previous, last.has_next) == (True, False)


@pytest.mark.parametrize("limit", [1, 4, 5, 6])
async def test_the_newest_orders_are_the_same_with_and_without_a_filter_that_matches_all(
    reader: OrderReader, clerk: Clerk, limit: int
) -> None:
    ids = await clerk.store(10, accounts=("alice", "other"))
    await clerk.record({ids[4]: [filled("1")]})
    all_of_mine = replace(MINE, created_from=datetime(2000, 1, 1, tzinfo=UTC))

    newest, filtered = [
        await reader.page(PageRequest(limit=limit), sort=OrderSort.CREATED_DESC, filter=wanted)
        for wanted in (MINE, all_of_mine)
    ]

    assert list(newest.rows) == list(filtered.rows)
    assert len(newest.rows) == min(limit, 5)
    assert (newest.has_previous, newest.has_next) == (filtered.has_previous, filtered.has_next) == (False, limit < 5)


@pytest.mark.parametrize("sort", list(OrderSort))
@pytest.mark.parametrize("limit", [0, 101])
async def test_a_page_has_one_to_a_hundred_rows(reader: OrderReader, limit: int, sort: OrderSort) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        await reader.page(PageRequest(limit=limit), sort=sort, filter=MINE)


async def test_filters_select_by_what_they_name(reader: OrderReader, clerk: Clerk) -> None:
    pending, partial, over = await clerk.store(3)
    await clerk.record({partial: [filled("1", name="e-1")]})
    await clerk.record({over: [ended(End.EXPIRED)]})
    moment = now()
    hour = timedelta(hours=1)

    async def shown(**wanted: object) -> set[UUID]:
        page = await reader.page(
            PageRequest(limit=10),
            sort=OrderSort.UPDATED_DESC,
            filter=OrderFilter(account_ids=("alice",), **wanted),  # type: ignore[arg-type] # each call names real fields
        )
        return {order.id for order in page.rows}

    assert await shown(statuses=frozenset({OrderStatus.PENDING, OrderStatus.EXPIRED})) == {pending, over}
    assert await shown(statuses=frozenset()) == set()
    assert await shown(is_final=True) == {over}
    assert await shown(is_final=False) == {pending, partial}
    assert await shown(isins=frozenset({"US0378331005"}), side=Side.BUY) == {pending, partial, over}
    assert await shown(isins=frozenset({"DE0007164600"})) == set()
    assert await shown(side=Side.SELL) == set()
    assert await shown(created_from=moment - hour, created_before=moment, updated_from=moment - hour) != set()
    assert await shown(created_before=moment - hour) == set()
    assert await shown(updated_from=moment + hour) == set()


async def test_a_history_shows_each_change_as_the_order_stood_then(reader: OrderReader, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    recorded = [
        *await clerk.record(
            {order_id: [accepted(), filled("40", name="e-1", price="5"), filled("60", name="e-2", price="6")]}
        ),
        *await clerk.record({order_id: [restated("400", symbol="META", limit_price="3"), busted("e-2")]}),
        *await clerk.record({order_id: [ended(End.CANCELED)]}),
    ]

    history = await reader.history(order_id, PageRequest(limit=10), version=NEWEST)
    middle = await reader.history(order_id, PageRequest(limit=2, after=2), version=NEWEST)

    assert [change.kind for change in history.rows] == [ChangeKind.RECEIVED, *(change.kind for change in recorded)]
    assert list(history.rows[1:]) == recorded
    assert list(middle.rows) == recorded[1:3]
    assert (middle.has_previous, middle.has_next) == (True, True)


async def test_the_venue_orders_of_a_replaced_order_are_read_in_their_order(reader: OrderReader, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    link = OrderReplaced(venue_order_id="V2", replaces="V1", at=at(4), venue_client_order_id="by-hand")
    count = VenueCount(at=at(5), quantity=Decimal(7))
    recorded = [
        *await clerk.record({order_id: [filled("4", cumulative="4", venue_order_id="V1"), link]}),
        *await clerk.record({order_id: [ended(End.REPLACED, venue_order_id="V1")]}),
        *await clerk.record({order_id: [filled("5", name="E2", cumulative="5", venue_order_id="V2")]}),
        *await clerk.record({order_id: [ended(End.EXPIRED, venue_order_id="V2", count=count)]}),
    ]

    first, second = await reader.venue_orders(order_id)
    history = await reader.history(order_id, PageRequest(limit=10), version=NEWEST)

    assert (first.venue_order_id, first.venue_status, first.filled_quantity) == ("V1", "replaced", Decimal(4))
    assert (first.replaces, first.ended_at) == (None, at(4))
    assert second == VenueOrderView(
        venue_order_id="V2",
        venue_client_order_id="by-hand",
        filled_quantity=Decimal(5),
        venue_status="expired",
        replaces="V1",
        ended_at=at(4),
    )
    # Of the first 4 are recorded, of the second the venue counts 7.
    assert history.rows[-1] == recorded[-1]
    assert [change.order.venue_order_id for change in history.rows] == [None, "V1", "V2", "V2", "V2"]
    assert (history.rows[-1].order.venue_filled_quantity, history.rows[-1].order.lacks_fills) == (Decimal(11), True)


async def test_executions_are_read_oldest_first_without_the_busted(reader: OrderReader, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    changes = await clerk.record({order_id: [filled("1", name=f"e-{number}") for number in range(5)]})
    await clerk.record({order_id: [busted("e-1")]})

    first = await reader.executions(order_id, PageRequest(limit=2), version=NEWEST)
    rest = await reader.executions(order_id, PageRequest(limit=5, after=first.rows[-1].id), version=NEWEST)

    kept = [change.execution for number, change in enumerate(changes) if number != 1]
    assert [*first.rows, *rest.rows] == kept
    assert (first.has_next, rest.has_next) == (True, False)


async def test_executions_and_history_are_read_as_they_stood_at_any_version(reader: OrderReader, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    recorded = [
        *await clerk.record({order_id: [filled("10", name="e-1", price="5"), filled("20", name="e-2", price="6")]}),
        *await clerk.record({order_id: [corrected("8", name="e-1", price="7")]}),
        *await clerk.record({order_id: [busted("e-2"), filled("30", name="e-3", price="4")]}),
        *await clerk.record({order_id: [corrected("9", name="e-1", price="7", second=5)]}),
        *await clerk.record({order_id: [ended(End.CANCELED)]}),
    ]

    for change in recorded:
        version = change.order.version
        executions = (await reader.executions(order_id, PageRequest(limit=10), version=version)).rows
        history = (await reader.history(order_id, PageRequest(limit=10), version=version)).rows

        assert sum(one.quantity for one in executions) == change.order.filled_quantity, version
        assert sum(one.quantity * one.price for one in executions) == change.order.notional, version
        assert change.execution is None or change.execution in executions or not change.execution.quantity
        assert [one.order.version for one in history] == list(range(1, version + 1))
    before = await reader.executions(order_id, PageRequest(limit=10), version=1)
    assert before.rows == []


async def test_executions_at_a_version_are_paged_like_the_newest(reader: OrderReader, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    changes = await clerk.record({order_id: [filled("1", name=f"e-{number}") for number in range(5)]})
    await clerk.record({order_id: [busted("e-1"), busted("e-4")]})

    first = await reader.executions(order_id, PageRequest(limit=2), version=5)
    rest = await reader.executions(order_id, PageRequest(limit=2, after=first.rows[-1].id), version=5)

    assert [*first.rows, *rest.rows] == [change.execution for change in changes[:4]]
    assert (first.has_next, rest.has_next, rest.has_previous) == (True, False, True)


async def test_executions_are_found_by_their_ids_where_their_orders_are_visible(
    reader: OrderReader, clerk: Clerk
) -> None:
    mine, second, theirs = await clerk.store(3, accounts=("alice", "second", "other"))
    changes = await clerk.record({order_id: [filled("1", name=str(order_id))] for order_id in (mine, second, theirs)})
    executions = {change.order.id: change.execution for change in changes}
    of_mine, of_second, of_theirs = (one.id for key in (mine, second, theirs) if (one := executions[key]) is not None)

    async def found(account_ids: VisibleAccounts) -> set[UUID]:
        wanted = [of_mine, of_second, of_theirs, uuid7()]
        shown = await reader.executions_by_id(wanted, account_ids=account_ids)
        assert all(shown[key].id == key for key in shown)
        return set(shown)

    assert await found(("alice",)) == {of_mine}
    assert await found(("alice", "second")) == {of_mine, of_second}
    assert await found(()) == set()
    assert await found(None) == {of_mine, of_second, of_theirs}


@pytest.mark.parametrize("sort", list(OrderSort))
async def test_pages_of_several_accounts_show_exactly_their_orders_in_one_order(
    reader: OrderReader, clerk: Clerk, sort: OrderSort
) -> None:
    ids = await clerk.store(12, accounts=("alice", "second", "other", "third"))
    owners = {order_id: ("alice", "second", "other", "third")[number % 4] for number, order_id in enumerate(ids)}
    await clerk.record({ids[1]: [filled("1", name="e-1")], ids[4]: [filled("1", name="e-2")]})
    wanted = OrderFilter(account_ids=("alice", "second"))

    forwards = await _walk(reader, sort, wanted)
    backwards = await _walk(reader, sort, wanted, backwards=True)

    assert {order.id for order in forwards} == {key for key, owner in owners.items() if owner in {"alice", "second"}}
    assert len(forwards) == 6
    assert backwards == forwards[::-1]
    keys = [(KEYS[sort](order).at, order.id) for order in forwards]
    assert keys == sorted(keys, reverse=sort is not OrderSort.CREATED_ASC)
    assert await _walk(reader, sort, OrderFilter(account_ids=())) == []


async def test_a_page_of_an_account_without_orders_is_empty(reader: OrderReader) -> None:
    page = await reader.page(PageRequest(limit=1), sort=OrderSort.UPDATED_DESC, filter=MINE)
    stranger = OrderKey(at=MIDNIGHT, id=uuid7())
    behind = await reader.page(PageRequest(limit=1, after=stranger), sort=OrderSort.UPDATED_DESC, filter=MINE)

    assert (list(page.rows), page.has_next, page.has_previous) == ([], False, False)
    assert list(behind.rows) == []


async def _walk(
    reader: OrderReader, sort: OrderSort, wanted: OrderFilter, *, backwards: bool = False
) -> list[OrderSnapshot]:
    """Every order, page by page, from one end to the other."""
    seen: list[OrderSnapshot] = []
    key: OrderKey | None = None
    while True:
        request = PageRequest(limit=3, backwards=True, before=key) if backwards else PageRequest(limit=3, after=key)
        page = await reader.page(request, sort=sort, filter=wanted)
        seen.extend(page.rows[::-1] if backwards else page.rows)
        assert (page.has_previous if not backwards else page.has_next) == (key is not None)
        if not (page.has_previous if backwards else page.has_next):
            return seen
        key = KEYS[sort](seen[-1])
