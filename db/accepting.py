"""Accepting orders: all that wait at one moment, in one statement, each account's sequence without a gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from db.database import Database, Row
from db.rows import HELD_COLUMN_NAMES, ORDER_COLUMN_NAMES, snapshot_of
from domain.changes import ChangeKind, PlacementState, RecordedChange, snapshot
from domain.order import Order
from domain.ports.order_store import Stored

# Locks are taken in one order everywhere, so that nobody deadlocks: first orders (here: the keys of new ones, sorted),
# then accounts by id. The upsert of an account locks it, makes it where it is missing, and sees its newest sequence.
# An account's number reaches its changes through an array, not through a join: the planner knows nothing of what a
# CTE holds, and a join of two of them compares every row with every row.
ACCEPT = """
WITH inserted AS (
    INSERT INTO orders AS o (
        id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price,
        status, created_at, updated_at, place_due_at
    )
    SELECT n.id, n.account_id, n.client_order_id, n.isin, n.symbol, n.side, n.type, n.time_in_force, n.quantity,
        n.limit_price, 'PENDING', n.created_at, n.created_at, now()
    FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::numeric[], $10::numeric[], $11::timestamptz[]
    ) AS n (
        id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price, created_at
    )
    ORDER BY n.account_id COLLATE "C", n.client_order_id COLLATE "C"
    ON CONFLICT (account_id, client_order_id) DO NOTHING
    RETURNING o.id, o.account_id, o.created_at, o.place_due_at
), numbered AS MATERIALIZED (
    SELECT i.*,
        dense_rank() OVER (ORDER BY i.account_id) AS account_number,
        row_number() OVER (PARTITION BY i.account_id ORDER BY i.id DESC) - 1 AS behind
    FROM inserted AS i
), advanced AS (
    INSERT INTO accounts AS a (id, sequence)
    SELECT n.account_id, count(*) FROM numbered AS n GROUP BY n.account_id ORDER BY n.account_id
    ON CONFLICT (id) DO UPDATE SET sequence = a.sequence + excluded.sequence
    RETURNING a.id, a.sequence
), ends AS MATERIALIZED (
    SELECT array_agg(a.sequence ORDER BY a.id) AS sequences FROM advanced AS a
)
INSERT INTO order_changes AS c (
    account_id, sequence, order_id, version, kind, at, status, filled_quantity, notional
)
SELECT n.account_id, (SELECT e.sequences FROM ends AS e)[n.account_number] - n.behind, n.id, 1, 'RECEIVED',
    n.created_at, 'PENDING', 0, 0
FROM numbered AS n
RETURNING c.order_id, c.sequence, now() AS place_due_at
"""

# A second statement, because the first one's snapshot does not show a row that was committed while it waited for it.
FIND = f"""
SELECT {ORDER_COLUMN_NAMES}, {HELD_COLUMN_NAMES}
FROM unnest($1::text[], $2::text[]) AS k (account_id, client_order_id)
JOIN orders AS o ON o.account_id = k.account_id AND o.client_order_id = k.client_order_id
"""  # noqa: S608 - the names of our own columns


@dataclass(frozen=True, slots=True)
class Accepting:
    """Stores new orders."""

    database: Database

    async def accept(self, orders: Sequence[Order]) -> Sequence[Stored]:
        """Store those whose client order id is new in their account; for each order what is stored, in input order."""
        rows = {row["order_id"]: row for row in await self.database.fetch(ACCEPT, *_arrays(orders))}
        # Popped, so that of one order given twice only the first is the one that stored it.
        new = [rows.pop(order.id, None) for order in orders]
        existing = await self._find([order for order, row in zip(orders, new, strict=True) if row is None])
        return [
            _new(order, row) if row is not None else Stored(order=snapshot_of(existing[_key(order)]), change=None)
            for order, row in zip(orders, new, strict=True)
        ]

    async def _find(self, orders: Sequence[Order]) -> Mapping[tuple[str, str], Row]:
        if not orders:
            return {}
        keys = {_key(order) for order in orders}
        rows = await self.database.fetch(FIND, [account_id for account_id, _ in keys], [name for _, name in keys])
        return {(row["account_id"], row["client_order_id"]): row for row in rows}


def _key(order: Order) -> tuple[str, str]:
    return (order.account_id, order.terms.client_order_id)


def _new(order: Order, row: Row) -> Stored:
    shown = snapshot(order, placement=PlacementState(next_attempt_at=row["place_due_at"]))
    change = RecordedChange(
        sequence=row["sequence"], kind=ChangeKind.RECEIVED, at=order.created_at, order=shown, execution=None
    )
    return Stored(order=shown, change=change)


def _arrays(orders: Sequence[Order]) -> Sequence[Sequence[object]]:
    terms = [order.terms for order in orders]
    return (
        [order.id for order in orders],
        [order.account_id for order in orders],
        [term.client_order_id for term in terms],
        [term.isin for term in terms],
        [term.symbol for term in terms],
        [term.side for term in terms],
        [term.type for term in terms],
        [term.time_in_force for term in terms],
        [term.quantity for term in terms],
        [term.limit_price for term in terms],
        [order.created_at for order in orders],
    )
