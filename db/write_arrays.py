"""What the one statement of `db.write_statement` is given: orders, executions and changes as arrays, one a column."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from db.columns import MESSAGE_MAX_CHARACTERS, storable
from db.rows import reasons_as_json, storable_reason
from domain.changes import Change
from domain.executions import Execution
from domain.order import FINAL_STATUSES, Order, VenueRank, derive_reason, is_placing_over
from domain.ports.following import Fence
from domain.ports.order_store import AttemptEnd, OrderWrite
from domain.values import Reason

ORDER_COLUMNS = 28
EXECUTION_COLUMNS = 13
CHANGE_COLUMNS = 19

_FINAL_STATUSES = sorted(FINAL_STATUSES)


@dataclass(frozen=True, slots=True)
class NumberedChange:
    """A change and its place among its account's changes of one write.

    `account_number` counts accounts from 1 in the order of their ids; `behind` is how many of the account follow.
    """

    change: Change
    account_number: int
    behind: int

    def sequence(self, ends: Sequence[int]) -> int:
        """Its place in the account's sequence, from the places of each account's last change."""
        return ends[self.account_number - 1] - self.behind


def numbered(changes: Sequence[Change]) -> Sequence[NumberedChange]:
    """The changes in their order, each with its place."""
    left = Counter(change.order.account_id for change in changes)
    numbers = {account_id: number for number, account_id in enumerate(sorted(left), start=1)}
    places = []
    for change in changes:
        account_id = change.order.account_id
        left[account_id] -= 1
        places.append(NumberedChange(change, account_number=numbers[account_id], behind=left[account_id]))
    return places


def write_arguments(
    writes: Sequence[OrderWrite], changes: Sequence[NumberedChange], *, venue: str, fence: Fence | None
) -> Sequence[object]:
    """The statement's arguments, in order."""
    executions = [_execution_row(write.order, execution) for write in writes for execution in write.executions]
    counts = Counter(change.change.order.account_id for change in changes)
    accounts = sorted(counts)
    return (
        *_columns([_order_row(write) for write in writes], count=ORDER_COLUMNS),
        venue,
        *_columns(executions, count=EXECUTION_COLUMNS),
        accounts,
        [counts[account_id] for account_id in accounts],
        *_columns([_change_row(change) for change in changes], count=CHANGE_COLUMNS),
        fence and fence.venue,
        fence and fence.epoch,
        _FINAL_STATUSES,
    )


def _columns(rows: Sequence[tuple[object, ...]], *, count: int) -> Sequence[Sequence[object]]:
    return list(zip(*rows, strict=True)) if rows else [()] * count


def _order_row(write: OrderWrite) -> tuple[object, ...]:
    order, facts, status = write.order, write.order.facts, write.order.status
    return (
        order.id,
        order.account_id,
        write.read_version,
        order.version,
        facts.phase,
        facts.rank,
        facts.venue_order_id,
        facts.filled_quantity,
        facts.notional,
        # As an array's text: arrays of arrays cannot be taken apart by one level. The names need no quoting.
        "{" + ",".join(sorted(facts.ends)) + "}",
        facts.cancel.asked,
        facts.cancel.sent,
        facts.cancel.refused,
        facts.cancel.refused_at,
        reasons_as_json(facts.end_reasons),
        reasons_as_json(facts.phase_reasons),
        status,
        order.updated_at,
        is_placing_over(facts),
        facts.cancel.is_open and not status.is_final,
        facts.rank >= VenueRank.ACCEPTED and not status.is_final,
        *_attempt_row(write.attempt_end),
        write.unclaimed,
        write.cancel_in,
    )


def _attempt_row(end: AttemptEnd | None) -> tuple[object, ...]:
    if end is None:
        return (None, None, True, False, None)
    error = None if end.error is None else storable(end.error, max_characters=MESSAGE_MAX_CHARACTERS)
    return (end.attempt, error, end.counts, end.may_have_been_sent, end.next_in)


def _execution_row(order: Order, execution: Execution) -> tuple[object, ...]:
    filled, correction = execution.filled, execution.correction
    return (
        execution.id,
        order.account_id,
        order.id,
        execution.venue_execution_id,
        execution.cumulative_quantity,
        filled and filled.quantity,
        filled and filled.price,
        correction and correction.trade.quantity,
        correction and correction.trade.price,
        correction and correction.corrected_at,
        execution.is_busted,
        execution.executed_at,
        execution.received_at,
    )


def _change_row(numbered_change: NumberedChange) -> tuple[object, ...]:
    change = numbered_change.change
    order, facts, execution = change.order, change.order.facts, change.execution
    status = order.status
    return (
        order.account_id,
        numbered_change.account_number,
        numbered_change.behind,
        order.id,
        order.version,
        change.kind,
        order.updated_at,
        status,
        facts.filled_quantity,
        facts.notional,
        *_reason_row(derive_reason(facts, status=status)),
        facts.venue_order_id,
        execution and execution.id,
        execution and execution.trade.quantity,
        execution and execution.trade.price,
        execution and execution.executed_at,
        execution and execution.received_at,
    )


def _reason_row(reason: Reason | None) -> tuple[object, ...]:
    if reason is None:
        return (None, None, None)
    stored = storable_reason(reason)
    return (stored.source, stored.code, stored.message)
