"""Reads of orders without a lock, and the writes of decisions about them: all in one statement, or nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from db.array_literals import text_array
from db.change_arrays import NumberedChanges, numbered
from db.database import Database, Row
from db.operator_actions import action_arguments
from db.order_rows import ORDER_COLUMN_NAMES, execution_of, loaded_order_of, placement
from db.write_arrays import write_arguments
from db.write_statement import (
    ARGUMENTS_OF_REQUESTS,
    ARGUMENTS_UNFENCED,
    WRITE,
    WRITE_FENCED,
    WRITE_REQUESTS,
    WRITE_REQUESTS_WITH_ACTION,
    WRITE_RESOLUTION,
)
from domain.model.changes import PlacementState, RecordedChange, snapshot, view
from domain.model.errors import ExecutionIdTakenError, LeadershipLostError, VersionConflictError
from domain.model.executions import Execution
from domain.model.operator_actions import ActionToStore, NewAction, RequestedAction
from domain.ports.ingest_state import Fence
from domain.ports.order_store import IMMEDIATE, ExecutionKey, FillName, LoadedOrder, OrderWrite, WriteTicket

_ORDERS = f"""
SELECT {ORDER_COLUMN_NAMES}, CASE
    WHEN (SELECT b.id FROM executions AS b WHERE b.order_id = o.id AND b.is_booked AND NOT b.is_busted LIMIT 1) IS NULL
    THEN coalesce((SELECT max(x.cumulative_quantity) FROM executions AS x WHERE x.order_id = o.id), 0)
END AS filled_up_to
FROM orders AS o
"""  # noqa: S608 - our own columns
LOAD = f"{_ORDERS} WHERE o.id = ANY($1::uuid[])"
LOAD_REPORTED = f"{_ORDERS} WHERE o.venue_client_order_id = ANY($1::text::text[])"
# Key by key (OFFSET 0 prevents anything else): as a plain join the planner, with outdated statistics of a new table,
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
EXECUTIONS_OF_OTHER_ORDERS = """
SELECT e.venue_execution_id, e.order_id
FROM unnest($2::uuid[], $3::text[]) AS k (order_id, venue_execution_id)
JOIN executions AS e ON e.venue = $1 AND e.venue_execution_id = k.venue_execution_id AND e.order_id <> k.order_id
"""


@dataclass(frozen=True, slots=True)
class OrderWriter:
    """The reader and writer of orders whose executions come from one venue. With `requests_only` it writes only
    requests of clients, by a statement that needs no privilege to write the venue's reports.
    """

    database: Database
    venue: str
    requests_only: bool = False

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

    async def write(
        self,
        writes: Sequence[OrderWrite],
        *,
        fence: Fence | None = None,
        ticket: WriteTicket = IMMEDIATE,
        action: ActionToStore | None = None,
    ) -> Sequence[RecordedChange]:
        """Write all or nothing, the operator's action included; return the changes in their order.

        Raises LeadershipLostError, VersionConflictError and ExecutionIdTakenError.
        """
        if not writes:
            return ()
        _require_distinct(writes)
        changes = numbered([change for write in writes for change in write.changes])
        arguments = write_arguments(writes, changes, venue=self.venue, fence=fence)
        statement, arguments_count = self._variant(writes, fence, action)
        await ticket.wait()
        try:
            (row,) = await self.database.fetch(
                statement, *arguments[:arguments_count], *_arguments_of_action(action, writes)
            )
        except asyncpg.NotNullViolationError as error:
            await self._raise_conflict(error, writes)
            raise
        if fence is not None and not row["is_led"]:
            raise LeadershipLostError(fence.epoch)
        if not row["holds"]:
            raise VersionConflictError
        await ticket.mark_written()
        return _recorded(changes, row)

    def _variant(
        self, writes: Sequence[OrderWrite], fence: Fence | None, action: ActionToStore | None
    ) -> tuple[str, int | None]:
        """Return the statement for these writes, and the number of its arguments; None for all."""
        if isinstance(action, RequestedAction):
            if fence is not None or self.requests_only:
                raise ValueError("only a worker applies requests of operators")
            return WRITE_RESOLUTION, ARGUMENTS_UNFENCED
        if self.requests_only or action is not None:
            if fence is not None or any(write.executions or write.attempt_end for write in writes):
                raise ValueError("only requests can be written here")
            return (WRITE_REQUESTS if action is None else WRITE_REQUESTS_WITH_ACTION), ARGUMENTS_OF_REQUESTS
        return (WRITE, ARGUMENTS_UNFENCED) if fence is None else (WRITE_FENCED, None)

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

    async def _raise_conflict(self, error: asyncpg.NotNullViolationError, writes: Sequence[OrderWrite]) -> None:
        """Raise the error for which the statement wrote a NULL (see `db.write_statement`)."""
        if error.table_name == "executions" and error.column_name == "executed_at":
            raise VersionConflictError from error
        if error.table_name == "executions" and error.column_name == "is_busted":
            keys = [(write.order.id, execution) for write in writes for execution in write.executions]
            rows = await self.database.fetch(
                EXECUTIONS_OF_OTHER_ORDERS,
                self.venue,
                [order_id for order_id, _ in keys],
                [execution.venue_execution_id for _, execution in keys],
            )
            raise ExecutionIdTakenError({row["venue_execution_id"]: row["order_id"] for row in rows}) from error


def _require_distinct(writes: Sequence[OrderWrite]) -> None:
    if len({write.order.id for write in writes}) != len(writes):
        raise ValueError("an order can be written only once in a batch")
    owners: dict[str, UUID] = {}
    for write in writes:
        for execution in write.executions:
            owner = owners.setdefault(execution.venue_execution_id, write.order.id)
            if owner != write.order.id:
                raise ExecutionIdTakenError({execution.venue_execution_id: owner})


def _recorded(numbered_changes: NumberedChanges, row: Row) -> Sequence[RecordedChange]:
    """Return the changes as they were written, with their places and their orders' placement."""
    if not numbered_changes.changes:
        return ()
    placements = _placements(row)
    return [
        RecordedChange(
            sequence=sequence,
            kind=change.kind,
            at=change.order.updated_at,
            order=snapshot(change.order, placement=placements[change.order.id]),
            execution=None if change.execution is None else view(change.execution),
        )
        for change, sequence in zip(numbered_changes.changes, numbered_changes.sequences(row["sequences"]), strict=True)
    ]


def _placements(row: Row) -> Mapping[UUID, PlacementState]:
    columns = (
        row[name] for name in ("ids", "attempts", "last_attempt_at", "submit_due_at", "lease_until", "last_error")
    )
    return {
        order_id: placement(
            attempts=attempts, last_attempt_at=last_attempt_at, due_at=due_at, lease_until=lease_until, last_error=error
        )
        for order_id, attempts, last_attempt_at, due_at, lease_until, error in zip(*columns, strict=True)
    }


def _arguments_of_action(action: ActionToStore | None, writes: Sequence[OrderWrite]) -> Sequence[object]:
    """Return the arguments behind those of all writes, for the variants that store an operator's action."""
    if action is None:
        return ()
    if isinstance(action, NewAction):
        return action_arguments(action)
    booked = [one for write in writes for one in write.executions if one.is_booked]
    named = next((one.booked_as for one in booked), None)
    return (action.resolution_id, action.before, action.after, bool(booked), named)
