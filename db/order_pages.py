"""Which orders a page contains and in what order: the filters and the three sorts, each with its index.

CREATED_* use `orders_account_created` (`orders_created` for every account).

UPDATED_DESC has no index on the time of the update, because every fill changes it. The account's changes are an index
already: read from the newest down, each order is found at its newest change. So the sort is the account's sequence, the
order of commits. It equals the order of the times, unless the clocks of two writers differ; and unlike it, no order can
appear after a page that was read. An account's page reads as many rows as changes. Without an account (operators), and
for several, there is no such sequence: the orders that pass the filter are sorted.

A page of several accounts by creation time reads the first rows of each account's index and merges them: at most the
page's number of rows for each account.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, Uuid, func, join, literal, select

from db.columns import MOMENT
from db.keyset import Keyset
from db.snapshot_rows import HELD_COLUMNS
from db.tables import order_changes, orders
from domain.model.order import FINAL_STATUSES
from domain.model.order_query import OrderFilter, OrderKey, OrderSort

# Built once: naming some thirty columns costs more than the rest of building a page's statement.
_ORDERS = select(*orders.columns, *HELD_COLUMNS)
_ORDERS_BY_CHANGE = _ORDERS.select_from(
    join(
        order_changes,
        orders,
        (orders.c.id == order_changes.c.order_id)
        & (orders.c.version == order_changes.c.version)
        & (orders.c.account_id == order_changes.c.account_id),
    )
)


def orders_like(wanted: OrderFilter, *, sort: OrderSort) -> tuple[Select[Any], Keyset[OrderKey]]:
    """Return the rows of orders that pass the filter, and how they are sorted and paged."""
    conditions, account_ids = _conditions(wanted), wanted.account_ids
    if account_ids is None:
        return _ORDERS.where(*conditions), _by_moment(sort)
    if len(account_ids) == 1:
        (account_id,) = account_ids
        if sort is OrderSort.UPDATED_DESC:
            rows = _ORDERS_BY_CHANGE.where(order_changes.c.account_id == account_id)
            return rows.where(orders.c.account_id == account_id, *conditions), _by_sequence(account_id)
        return _ORDERS.where(orders.c.account_id == account_id, *conditions), _by_moment(sort)
    if sort is OrderSort.UPDATED_DESC:
        return _ORDERS.where(orders.c.account_id.in_(account_ids), *conditions), _by_moment(sort)
    return _ORDERS.where(*conditions), replace(_by_moment(sort), within=(orders.c.account_id, account_ids))


def _by_moment(sort: OrderSort) -> Keyset[OrderKey]:
    moment = orders.c.updated_at if sort is OrderSort.UPDATED_DESC else orders.c.created_at
    return Keyset(
        columns=(moment, orders.c.id),
        values=lambda key: (literal(key.at, MOMENT), literal(key.id, Uuid)),
        descending=sort is not OrderSort.CREATED_ASC,
    )


def _by_sequence(account_id: str) -> Keyset[OrderKey]:
    def sequence_of(key: OrderKey) -> tuple[ColumnElement[Any]]:
        """Return the order's position when the key was made. It may have changed since; its history has not."""
        changes = order_changes.alias()
        return (
            select(func.max(changes.c.sequence))
            .where(changes.c.order_id == key.id, changes.c.at == key.at, changes.c.account_id == account_id)
            .scalar_subquery(),
        )

    return Keyset(columns=(order_changes.c.sequence,), values=sequence_of, descending=True)


def _conditions(wanted: OrderFilter) -> list[ColumnElement[bool]]:
    columns = orders.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.statuses is not None:
        conditions.append(columns.status.in_(sorted(wanted.statuses)))
    if wanted.is_final is not None:
        final = columns.status.in_(sorted(FINAL_STATUSES))
        conditions.append(final if wanted.is_final else ~final)
    if wanted.isins is not None:
        conditions.append(columns.isin.in_(sorted(wanted.isins)))
    if wanted.side is not None:
        conditions.append(columns.side == wanted.side)
    return [*conditions, *_moments(wanted)]


def _moments(wanted: OrderFilter) -> list[ColumnElement[bool]]:
    columns = orders.c
    conditions = []
    if wanted.created_from is not None:
        conditions.append(columns.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        conditions.append(columns.created_at < wanted.created_before)
    if wanted.updated_from is not None:
        conditions.append(columns.updated_at >= wanted.updated_from)
    return conditions
