"""Writes of what was decided on orders: all in one statement, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from db.change_arrays import NumberedChanges, numbered
from db.database import Database, Row
from db.operator_actions import action_arguments
from db.order_rows import placement
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
from domain.model.operator_actions import ActionToStore, NewAction, RequestedAction
from domain.ports.ingest_state import Fence
from domain.ports.order_store import IMMEDIATE, OrderWrite, WriteTicket

EXECUTIONS_OF_OTHER_ORDERS = """
SELECT e.venue_execution_id, e.order_id
FROM unnest($2::uuid[], $3::text[]) AS k (order_id, venue_execution_id)
JOIN executions AS e ON e.venue = $1 AND e.venue_execution_id = k.venue_execution_id AND e.order_id <> k.order_id
"""


@dataclass(frozen=True, slots=True)
class OrderWriter:
    """The writer of orders whose executions come from one venue. With `requests_only` it writes nothing but
    requests of clients, by a statement that needs no right to write what the venue reports."""

    database: Database
    venue: str
    requests_only: bool = False

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
