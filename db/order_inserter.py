"""Insertion of orders: all waiting ones in one statement, with gapless sequences of their accounts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from db.array_literals import moment_array, plain_array, text_array
from db.database import Database, Row
from db.insert_statement import INSERT_IF_UNRESTRICTED, INSERT_ONE_IF_UNRESTRICTED, INSERT_WITHIN_LIMITS
from db.snapshot_rows import shown_column_names, snapshot_of
from domain.model.changes import ChangeKind, PlacementState, RecordedChange, snapshot
from domain.model.errors import LimitsChangedError, OrderDeniedError
from domain.model.frozen import frozen
from domain.model.limits import AccountLimits, AccountLoad, check_load, deny_halted
from domain.model.order import Order
from domain.ports.order_store import OrderStored

EVERYBODY_HALTED = "ALL"
VENUE_CLIENT_ORDER_ID_KEY = "orders_venue_client_order_id_key"
RACES_MAX = 20
"""How often a batch is tried. At each repeat one order less is being stored by another process."""
ONE_SECOND = timedelta(seconds=1)
AT_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""When no limits were ever set."""

# Created before the statement is retried, so that there is a row to lock.
OPEN_ACCOUNTS = """
INSERT INTO accounts (id, sequence) SELECT k.id, 0 FROM unnest($1::text[]) AS k (id) ORDER BY k.id COLLATE "C"
ON CONFLICT (id) DO NOTHING
"""

# A second statement, because the first one's snapshot does not show a row that was committed while it waited for it.
FIND = f"""
SELECT {shown_column_names()}
FROM unnest($1::text[], $2::text[]) AS k (account_id, client_order_id)
JOIN orders AS o ON o.account_id = k.account_id AND o.client_order_id = k.client_order_id
"""  # noqa: S608 - the names of our own columns


@frozen
class OrderToInsert:
    """An order to insert, and when the limits were set by which its terms were checked."""

    order: Order
    limits_set_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderInserter:
    """The inserter of new orders. `max_orders_per_second` applies to accounts whose limits name none."""

    database: Database
    max_orders_per_second: int | None = None

    def locks_first(self, limits: AccountLimits) -> bool:
        """Return whether an order under these limits belongs in a batch that locks its accounts first."""
        return limits.bound_the_load or self.max_orders_per_second is not None

    async def insert(
        self, asked: Sequence[OrderToInsert], *, locks_first: bool
    ) -> Sequence[OrderStored | OrderDeniedError | LimitsChangedError]:
        """Insert the orders whose client order id is new in their account, as far as the accounts' limits allow.

        Return for each, in input order, the stored order or the reason for none. `locks_first` must be the same for all
        orders of a batch: a batch that inserts first and one that locks first could deadlock.
        """
        distinct = {_key(one.order): one for one in reversed(asked)}
        row = await self._insert(list(reversed(distinct.values())), locks_first=locks_first)
        # Popped, so that of one order given twice only the first is the one that stored it.
        sequences = dict(zip(row["order_ids"] or (), row["sequences"] or (), strict=True))
        new = [sequences.pop(one.order.id, None) for one in asked]
        stored_counts = Counter(one.order.account_id for one, sequence in zip(asked, new, strict=True) if sequence)
        existing = await self._find([one.order for one, sequence in zip(asked, new, strict=True) if sequence is None])
        loads = {load[0]: load for load in row["loads"]}
        return [
            _new(one.order, sequence, submit_due_at=row["submit_due_at"])
            if sequence is not None
            else _stored_before(existing, one.order)
            or _refusal(loads[one.order.account_id], stored_count=stored_counts[one.order.account_id])
            for one, sequence in zip(asked, new, strict=True)
        ]

    async def _insert(self, asked: Sequence[OrderToInsert], *, locks_first: bool) -> Row:
        """Insert the batch, again when another process was storing one of its orders: that one is committed then."""
        for _ in range(RACES_MAX - 1):
            try:
                return await self._insert_once(asked, locks_first=locks_first)
            except asyncpg.UniqueViolationError as error:
                if error.constraint_name != VENUE_CLIENT_ORDER_ID_KEY:
                    raise
        return await self._insert_once(asked, locks_first=locks_first)

    async def _insert_once(self, asked: Sequence[OrderToInsert], *, locks_first: bool) -> Row:
        set_at = _set_at_by_account(asked)
        if not locks_first and not any(set_at.values()):
            if len(asked) == 1:
                (row,) = await self.database.fetch(INSERT_ONE_IF_UNRESTRICTED, *_values(asked[0].order))
            else:
                (row,) = await self.database.fetch(INSERT_IF_UNRESTRICTED, *_columns(asked), sorted(set_at))
            if row["is_free"]:
                return row
        return await self._check_and_insert(asked, set_at, locks_first=locks_first)

    async def _check_and_insert(
        self, asked: Sequence[OrderToInsert], set_at: Mapping[str, datetime | None], *, locks_first: bool
    ) -> Row:
        accounts = sorted(set_at)
        numbers = {account_id: number for number, account_id in enumerate(accounts, start=1)}
        arguments = (
            *_columns(asked),
            accounts,
            [set_at[account_id] for account_id in accounts],
            self.max_orders_per_second,
            [numbers[one.order.account_id] for one in asked],
            locks_first,
        )
        (row,) = await self.database.fetch(INSERT_WITHIN_LIMITS, *arguments)
        if row["are_missing"]:
            await self.database.fetch(OPEN_ACCOUNTS, accounts)
            (row,) = await self.database.fetch(INSERT_WITHIN_LIMITS, *arguments)
        return row

    async def _find(self, orders: Sequence[Order]) -> Mapping[tuple[str, str], Row]:
        if not orders:
            return {}
        keys = {_key(order) for order in orders}
        rows = await self.database.fetch(FIND, [account_id for account_id, _ in keys], [name for _, name in keys])
        return {(row["account_id"], row["client_order_id"]): row for row in rows}


def _set_at_by_account(asked: Sequence[OrderToInsert]) -> Mapping[str, datetime | None]:
    """Return by which limits each account's orders were checked. If they differ, some were outdated, and none of
    the account's orders may be stored: all are checked again.
    """
    set_at: dict[str, datetime | None] = {}
    for one in asked:
        if set_at.setdefault(one.order.account_id, one.limits_set_at) != one.limits_set_at:
            set_at[one.order.account_id] = AT_NO_TIME
    return set_at


def _key(order: Order) -> tuple[str, str]:
    return (order.account_id, order.terms.client_order_id)


def _new(order: Order, sequence: int, *, submit_due_at: datetime) -> OrderStored:
    shown = snapshot(order, placement=PlacementState(next_attempt_at=submit_due_at))
    change = RecordedChange(
        sequence=sequence, kind=ChangeKind.RECEIVED, at=order.created_at, order=shown, execution=None
    )
    return OrderStored(order=shown, change=change)


def _stored_before(existing: Mapping[tuple[str, str], Row], order: Order) -> OrderStored | None:
    row = existing.get(_key(order))
    return None if row is None else OrderStored(order=snapshot_of(row), change=None)


def _refusal(load: tuple[Any, ...], *, stored_count: int) -> OrderDeniedError | LimitsChangedError:
    """Return why only `stored_count` of the account's orders were stored, from the account's row of `loads`."""
    _, halt, is_stale, max_open_orders, max_orders_per_second, open_orders, accepted_in_second, free_in = load
    if halt is not None:
        return OrderDeniedError.by(deny_halted(everywhere=halt == EVERYBODY_HALTED))
    limits = AccountLimits(max_open_orders=max_open_orders, max_orders_per_second=max_orders_per_second)
    under_way = AccountLoad(
        open_orders=(open_orders or 0) + stored_count,
        accepted_in_second=(accepted_in_second or 0) + stored_count,
        free_in=free_in or ONE_SECOND,
    )
    denial = check_load(under_way, limits=limits)
    return LimitsChangedError() if is_stale or denial is None else OrderDeniedError.by(denial)


def _columns(asked: Sequence[OrderToInsert]) -> Sequence[object]:
    orders = [one.order for one in asked]
    terms = [order.terms for order in orders]
    return (
        plain_array([order.id for order in orders]),
        text_array([order.account_id for order in orders]),
        text_array([one.client_order_id for one in terms]),
        text_array([one.isin for one in terms]),
        text_array([one.symbol for one in terms]),
        plain_array([one.side for one in terms]),
        plain_array([one.type for one in terms]),
        plain_array([one.time_in_force for one in terms]),
        plain_array([one.quantity for one in terms]),
        plain_array([one.limit_price for one in terms]),
        moment_array([order.created_at for order in orders]),
        plain_array([order.venue_client_order_id for order in orders]),
    )


def _values(order: Order) -> tuple[object, ...]:
    """Return the arguments for a single order."""
    terms = order.terms
    return (
        order.id,
        order.account_id,
        terms.client_order_id,
        terms.isin,
        terms.symbol,
        terms.side,
        terms.type,
        terms.time_in_force,
        terms.quantity,
        terms.limit_price,
        order.created_at,
        order.venue_client_order_id,
    )
