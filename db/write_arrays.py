"""What the one statement of `db.write_statement` is given: orders, executions and changes as arrays, one a column."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from db.array_literals import moment_array, plain_array, text_array
from db.columns import MESSAGE_MAX_CHARACTERS, storable
from db.order_rows import reasons_as_json, storable_reason
from domain.model.changes import Change
from domain.model.executions import Execution
from domain.model.frozen import frozen
from domain.model.order import FINAL_STATUSES, Order, VenueRank, is_submission_over
from domain.model.values import Reason
from domain.ports.ingest_state import Fence
from domain.ports.order_store import AttemptEnd, OrderWrite

MICROSECOND = timedelta(microseconds=1)
_FINAL_STATUSES = sorted(FINAL_STATUSES)


@frozen
class NumberedChanges:
    """Changes in their order, and each one's place among its account's changes of one write.

    `account_ids` are sorted, `counts` says how many changes each has. For each change `account_numbers` counts its
    account from 1 in that order, and `behind` says how many of the account follow.
    """

    changes: Sequence[Change]
    account_ids: Sequence[str]
    counts: Sequence[int]
    account_numbers: Sequence[int]
    behind: Sequence[int]

    def sequences(self, ends: Sequence[int]) -> Sequence[int]:
        """Each one's place in its account's sequence, from the places of each account's last change."""
        return [ends[number - 1] - behind for number, behind in zip(self.account_numbers, self.behind, strict=True)]


def numbered(changes: Sequence[Change]) -> NumberedChanges:
    """The changes in their order, with their places."""
    accounts = [change.order.account_id for change in changes]
    counts = Counter(accounts)
    account_ids = sorted(counts)
    numbers = {account_id: number for number, account_id in enumerate(account_ids, start=1)}
    left = dict(counts)
    behind = []
    for account_id in accounts:
        left[account_id] -= 1
        behind.append(left[account_id])
    return NumberedChanges(
        changes=changes,
        account_ids=account_ids,
        counts=[counts[account_id] for account_id in account_ids],
        account_numbers=[numbers[account_id] for account_id in accounts],
        behind=behind,
    )


def write_arguments(
    writes: Sequence[OrderWrite], changes: NumberedChanges, *, venue: str, fence: Fence | None
) -> Sequence[object]:
    """The statement's arguments, in order."""
    executed = [(write.order, execution) for write in writes for execution in write.executions]
    executions = _execution_columns(executed)
    return (
        *_order_columns(writes),
        venue,
        *executions,
        changes.account_ids,
        changes.counts,
        *_change_columns(changes, executed, executions),
        fence and fence.venue,
        fence and fence.epoch,
        _FINAL_STATUSES,
        len(writes),
    )


def _order_columns(writes: Sequence[OrderWrite]) -> Sequence[str]:
    # Column by column, and not row by row: a third of the time.
    orders = [write.order for write in writes]
    facts = [order.facts for order in orders]
    cancels = [each.cancel for each in facts]
    are_final = [order.status in FINAL_STATUSES for order in orders]
    attempts = [_attempt_fields(write.attempt_end) for write in writes]
    return (
        plain_array([order.id.hex for order in orders]),
        plain_array([write.read_version for write in writes]),
        plain_array([order.version for order in orders]),
        plain_array([each.phase for each in facts]),
        plain_array([each.rank for each in facts]),
        plain_array([each.filled_quantity for each in facts]),
        plain_array([each.notional for each in facts]),
        plain_array([cancel.requested for cancel in cancels]),
        plain_array([cancel.sent for cancel in cancels]),
        plain_array([cancel.refused for cancel in cancels]),
        moment_array([cancel.refused_at for cancel in cancels]),
        plain_array([order.status for order in orders]),
        moment_array([order.updated_at for order in orders]),
        plain_array([is_submission_over(each) for each in facts]),
        plain_array([cancel.is_open and not is_final for cancel, is_final in zip(cancels, are_final, strict=True)]),
        plain_array(
            [each.rank >= VenueRank.ACCEPTED and not is_final for each, is_final in zip(facts, are_final, strict=True)]
        ),
        plain_array([attempt.number for attempt in attempts]),
        plain_array([attempt.counts for attempt in attempts]),
        plain_array([attempt.may_have_been_sent for attempt in attempts]),
        plain_array([write.unclaimed for write in writes]),
        text_array([order.account_id for order in orders]),
        text_array([each.venue_order_id for each in facts]),
        # As an array's text: arrays of arrays cannot be taken apart by one level. The names need no quoting.
        text_array(["{" + ",".join(sorted(each.ends)) + "}" if each.ends else None for each in facts]),
        text_array([reasons_as_json(each.end_reasons) if each.end_reasons else None for each in facts]),
        text_array([reasons_as_json(each.phase_reasons) if each.phase_reasons else None for each in facts]),
        text_array([attempt.error for attempt in attempts]),
        text_array([_interval(attempt.next_in) for attempt in attempts]),
        text_array([_interval(write.cancel_in) for write in writes]),
    )


class _Attempt(NamedTuple):
    """The columns of an attempt that has ended."""

    number: int | None = None
    error: str | None = None
    counts: bool = True
    may_have_been_sent: bool = False
    next_in: timedelta | None = None


_NO_ATTEMPT = _Attempt()


def _attempt_fields(end: AttemptEnd | None) -> _Attempt:
    if end is None:
        return _NO_ATTEMPT
    error = None if end.error is None else storable(end.error, max_characters=MESSAGE_MAX_CHARACTERS)
    return _Attempt(end.attempt, error, end.counts, end.may_have_been_sent, end.next_in)


def _interval(interval: timedelta | None) -> str | None:
    return None if interval is None else f"{interval // MICROSECOND} microseconds"


class _ExecutionColumns(NamedTuple):
    """The columns of executions, in the statement's order."""

    ids: str
    order_ids: str
    cumulative_quantities: str
    fill_quantities: str
    fill_prices: str
    correction_quantities: str
    correction_prices: str
    corrected_at: str
    are_busted: str
    executed_at: str
    received_at: str
    account_ids: str
    venue_execution_ids: str


def _execution_columns(executed: Sequence[tuple[Order, Execution]]) -> _ExecutionColumns:
    orders, executions = [order for order, _ in executed], [execution for _, execution in executed]
    fills = [execution.filled for execution in executions]
    corrections = [execution.correction for execution in executions]
    return _ExecutionColumns(
        ids=plain_array([execution.id.hex for execution in executions]),
        order_ids=plain_array([order.id.hex for order in orders]),
        cumulative_quantities=plain_array([execution.cumulative_quantity for execution in executions]),
        fill_quantities=plain_array([fill and fill.quantity for fill in fills]),
        fill_prices=plain_array([fill and fill.price for fill in fills]),
        correction_quantities=plain_array([correction and correction.trade.quantity for correction in corrections]),
        correction_prices=plain_array([correction and correction.trade.price for correction in corrections]),
        corrected_at=moment_array(
            [None if correction is None else correction.corrected_at for correction in corrections]
        ),
        are_busted=plain_array([execution.is_busted for execution in executions]),
        executed_at=moment_array([execution.executed_at for execution in executions]),
        received_at=moment_array([execution.received_at for execution in executions]),
        account_ids=text_array([order.account_id for order in orders]),
        venue_execution_ids=text_array([execution.venue_execution_id for execution in executions]),
    )


def _change_columns(
    numbered_changes: NumberedChanges, executed: Sequence[tuple[Order, Execution]], executions: _ExecutionColumns
) -> Sequence[str]:
    changes = numbered_changes.changes
    orders = [change.order for change in changes]
    facts = [order.facts for order in orders]
    reasons = [_stored_reason(order) for order in orders]
    shown = _of_fills(executions) if _is_a_fill_each(changes, executed) else _of_changes(changes)
    return (
        plain_array(numbered_changes.account_numbers),
        plain_array(numbered_changes.behind),
        shown.order_ids,
        plain_array([order.version for order in orders]),
        plain_array([change.kind for change in changes]),
        moment_array([order.updated_at for order in orders]),
        plain_array([order.status for order in orders]),
        plain_array([each.filled_quantity for each in facts]),
        plain_array([each.notional for each in facts]),
        plain_array([reason and reason.source for reason in reasons]),
        shown.execution_ids,
        shown.quantities,
        shown.prices,
        shown.executed_at,
        shown.received_at,
        shown.account_ids,
        text_array([reason and reason.code for reason in reasons]),
        text_array([reason and reason.message for reason in reasons]),
        text_array([each.venue_order_id for each in facts]),
    )


class _ShownExecutions(NamedTuple):
    """The columns of changes that tell of their orders' and executions' identity, trade and moments."""

    order_ids: str
    account_ids: str
    execution_ids: str
    quantities: str
    prices: str
    executed_at: str
    received_at: str


def _is_a_fill_each(changes: Sequence[Change], executed: Sequence[tuple[Order, Execution]]) -> bool:
    """Whether the changes tell of the executions one by one, as they were filled: then both have the same columns."""
    return len(changes) == len(executed) and all(
        change.execution is execution and not execution.is_busted and execution.correction is None
        for change, (_, execution) in zip(changes, executed, strict=True)
    )


def _of_fills(executions: _ExecutionColumns) -> _ShownExecutions:
    return _ShownExecutions(
        order_ids=executions.order_ids,
        account_ids=executions.account_ids,
        execution_ids=executions.ids,
        quantities=executions.fill_quantities,
        prices=executions.fill_prices,
        executed_at=executions.executed_at,
        received_at=executions.received_at,
    )


def _of_changes(changes: Sequence[Change]) -> _ShownExecutions:
    executions = [change.execution for change in changes]
    trades = [execution and execution.trade for execution in executions]
    return _ShownExecutions(
        order_ids=plain_array([change.order.id.hex for change in changes]),
        account_ids=text_array([change.order.account_id for change in changes]),
        execution_ids=plain_array([execution and execution.id.hex for execution in executions]),
        quantities=plain_array([trade and trade.quantity for trade in trades]),
        prices=plain_array([trade and trade.price for trade in trades]),
        executed_at=moment_array([None if execution is None else execution.executed_at for execution in executions]),
        received_at=moment_array([None if execution is None else execution.received_at for execution in executions]),
    )


def _stored_reason(order: Order) -> Reason | None:
    reason = order.reason
    return reason and storable_reason(reason)
