"""Reads of orders without a lock, with the executions that a decision on them needs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from db.array_literals import text_array
from db.database import Database
from db.order_rows import ORDER_COLUMN_NAMES, execution_of, loaded_order_of
from domain.model.executions import Execution
from domain.ports.order_store import ExecutionKey, FillName, LoadedOrder

_ORDERS = f"""
SELECT {ORDER_COLUMN_NAMES}, CASE
    WHEN (SELECT b.id FROM executions AS b WHERE b.order_id = o.id AND b.is_booked AND NOT b.is_busted LIMIT 1) IS NULL
    THEN coalesce((SELECT max(x.cumulative_quantity) FROM executions AS x WHERE x.order_id = o.id), 0)
END AS filled_up_to
FROM orders AS o
"""  # noqa: S608 - our own columns
LOAD = f"{_ORDERS} WHERE o.id = ANY($1::uuid[])"
LOAD_REPORTED = f"{_ORDERS} WHERE o.venue_client_order_id = ANY($1::text::text[])"
# Key by key (OFFSET 0 forbids anything else): as a plain join the planner, when its figures for a young table are old,
# reads all executions of the venue for each key: at 200 keys that was most of the time.
LOAD_EXECUTIONS = """
SELECT e.*
FROM unnest($2::uuid[], $3::text[]) AS k (order_id, venue_execution_id)
CROSS JOIN LATERAL (
    SELECT * FROM executions AS x
    WHERE x.venue = $1 AND x.venue_execution_id = k.venue_execution_id AND x.order_id = k.order_id
    OFFSET 0
) AS e
UNION
SELECT e.*
FROM unnest($4::uuid[], $5::numeric[]) AS k (order_id, cumulative_quantity)
CROSS JOIN LATERAL (
    SELECT * FROM executions AS x
    WHERE x.order_id = k.order_id AND x.cumulative_quantity = k.cumulative_quantity
    OFFSET 0
) AS e
WHERE e.venue = $1
UNION
SELECT x.* FROM executions AS x
WHERE x.order_id = ANY($2::uuid[]) AND x.venue = $1
    AND (x.amends IS NOT NULL OR x.repeats IS NOT NULL OR x.amended_at IS NOT NULL)
UNION
SELECT x.* FROM executions AS x WHERE x.order_id = ANY($6::uuid[]) AND x.venue = $1
UNION
SELECT b.*
FROM (SELECT DISTINCT unnest($2::uuid[]) AS order_id) AS k
CROSS JOIN LATERAL (
    SELECT * FROM executions AS x WHERE x.order_id = k.order_id AND x.is_booked AND NOT x.is_busted
    OFFSET 0
) AS b
"""
ALL_EXECUTIONS = "SELECT e.* FROM executions AS e WHERE e.order_id = $1 ORDER BY e.id"
RECORDED_FILLS = """
SELECT k.venue_order_id, e.venue_execution_id
FROM unnest($2::text::text[], $3::text::text[]) AS k (venue_order_id, venue_execution_id)
CROSS JOIN LATERAL (
    SELECT * FROM executions AS x
    WHERE x.venue = $1 AND x.venue_execution_id = k.venue_execution_id AND x.fill_quantity IS NOT NULL
    OFFSET 0
) AS e
JOIN orders AS o ON o.id = e.order_id AND o.account_id = e.account_id
WHERE coalesce(e.venue_order_id, o.venue_order_id) = k.venue_order_id
"""


@dataclass(frozen=True, slots=True)
class OrderLoader:
    """The reader of orders whose executions come from one venue."""

    database: Database
    venue: str

    async def load(self, order_ids: Collection[UUID]) -> Mapping[UUID, LoadedOrder]:
        """Return the orders that exist, without executions."""
        rows = await self.database.fetch(LOAD, list(order_ids))
        return {row["id"]: loaded_order_of(row, filled_up_to=row["filled_up_to"]) for row in rows}

    async def load_whole(self, order_id: UUID) -> LoadedOrder | None:
        """Return the order with all its executions; None when there is none."""
        row = next(iter(await self.database.fetch(LOAD, [order_id])), None)
        if row is None:
            return None
        # After the order, as in `load_reported`.
        executions = await self.database.fetch(ALL_EXECUTIONS, order_id)
        return loaded_order_of(row, executions=tuple(map(execution_of, executions)), filled_up_to=row["filled_up_to"])

    async def load_reported(
        self, venue_client_order_ids: Collection[str], keys: Collection[ExecutionKey]
    ) -> Mapping[str, LoadedOrder]:
        """Return the orders that exist, with their stored executions that one of the keys names."""
        rows = await self.database.fetch(LOAD_REPORTED, text_array(list(venue_client_order_ids)))
        ids = {row["venue_client_order_id"]: row["id"] for row in rows}
        # After the orders, never before: an execution stored in between is then loaded with an order that does not
        # count it, and writing that order is a version conflict. In the other order it would be counted twice.
        executions = await self._executions(
            [(ids[name], key) for key in keys if (name := key.venue_client_order_id) in ids]
        )
        return {
            name: loaded_order_of(row, executions=executions.get(row["id"], ()), filled_up_to=row["filled_up_to"])
            for name, row in zip(ids, rows, strict=True)
        }

    async def recorded_fills(self, fills: Collection[FillName]) -> Collection[FillName]:
        """Return the fills that are already recorded."""
        if not fills:
            return ()
        names = (text_array([order for order, _ in fills]), text_array([execution for _, execution in fills]))
        rows = await self.database.fetch(RECORDED_FILLS, self.venue, *names)
        return {(row["venue_order_id"], row["venue_execution_id"]) for row in rows}

    async def _executions(self, keys: Collection[tuple[UUID, ExecutionKey]]) -> Mapping[UUID, tuple[Execution, ...]]:
        if not keys:
            return {}
        counted = [(order_id, key) for order_id, key in keys if key.cumulative_quantity is not None]
        rows = await self.database.fetch(
            LOAD_EXECUTIONS,
            self.venue,
            [order_id for order_id, _ in keys],
            [key.venue_execution_id for _, key in keys],
            [order_id for order_id, _ in counted],
            [key.cumulative_quantity for _, key in counted],
            [order_id for order_id, key in keys if key.is_amended],
        )
        found: dict[UUID, tuple[Execution, ...]] = {}
        for row in rows:
            found[row["order_id"]] = (*found.get(row["order_id"], ()), execution_of(row))
        return found
