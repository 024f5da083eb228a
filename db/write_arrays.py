"""What the one statement of `db.write_statement` is given: orders, executions and changes as arrays, one a column."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from db.columns import MESSAGE_MAX_CHARACTERS, storable
from db.rows import reasons_as_json, storable_reason
from domain.changes import Change
from domain.executions import Execution
from domain.order import FINAL_STATUSES, Order, VenueRank, derive_reason, is_placing_over
from domain.ports.following import Fence
from domain.ports.order_store import AttemptEnd, OrderWrite

# How many columns of each table need no quotes (numbers, ids, moments, names of ours), and how many hold texts of
# others, which may be anything.
ORDER_PLAIN, ORDER_TEXTS = 20, 8
EXECUTION_PLAIN, EXECUTION_TEXTS = 11, 2
CHANGE_PLAIN, CHANGE_TEXTS = 15, 4
MOMENTS_REMEMBERED_MAX = 2_048
MICROSECOND = timedelta(microseconds=1)
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
        *columns_of([_order_row(write) for write in writes], plain=ORDER_PLAIN, texts=ORDER_TEXTS),
        venue,
        *columns_of(executions, plain=EXECUTION_PLAIN, texts=EXECUTION_TEXTS),
        accounts,
        [counts[account_id] for account_id in accounts],
        *columns_of([_change_row(change) for change in changes], plain=CHANGE_PLAIN, texts=CHANGE_TEXTS),
        fence and fence.venue,
        fence and fence.epoch,
        _FINAL_STATUSES,
        len(writes),
    )


def columns_of(rows: Sequence[tuple[object, ...]], *, plain: int, texts: int) -> Sequence[object]:
    """The rows' columns, each as the text of an array: first those whose values need no quotes, then texts of others.

    Encoded by the driver, element by element, they would cost more than all the rest of recording. What holds nothing
    but NULL is sent empty: `unnest` fills up the columns that are shorter than the others.
    """
    if not rows:
        return ["{}"] * (plain + texts)
    columns = list(zip(*rows, strict=True))
    return [*map(_plain_array, columns[:plain]), *map(_text_array, columns[plain:])]


def _plain_array(column: tuple[object, ...]) -> str:
    first = column[0]
    # As in most columns: the moment of writing, what a fill does not touch. Equal decimals may be written differently.
    if not isinstance(first, Decimal) and column.count(first) == len(column):
        return "{}" if first is None else "{" + ",".join([str(first)] * len(column)) + "}"
    if None in column:
        return "{" + ",".join(["NULL" if value is None else str(value) for value in column]) + "}"
    return "{" + ",".join(map(str, column)) + "}"


def _text_array(column: tuple[Any, ...]) -> str:
    if column.count(None) == len(column):
        return "{}"
    if None not in column:
        joined = '","'.join(column)
        if "\\" not in joined and joined.count('"') == 2 * (len(column) - 1):
            return '{"' + joined + '"}'
    return "{" + ",".join(map(_quoted, column)) + "}"


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@lru_cache(maxsize=MOMENTS_REMEMBERED_MAX)
def _moment(moment: datetime | None) -> str | None:
    """The moment as text. Most are those of the whole batch, and each execution's stands in its change too."""
    return None if moment is None else str(moment)


def _order_row(write: OrderWrite) -> tuple[object, ...]:
    order, facts, status = write.order, write.order.facts, write.order.status
    cancel = facts.cancel
    attempt, error, counts, may_have_been_sent, next_in = _attempt_fields(write.attempt_end)
    return (
        order.id.hex,
        write.read_version,
        order.version,
        facts.phase,
        facts.rank,
        facts.filled_quantity,
        facts.notional,
        cancel.asked,
        cancel.sent,
        cancel.refused,
        _moment(cancel.refused_at),
        status,
        _moment(order.updated_at),
        is_placing_over(facts),
        cancel.is_open and not status.is_final,
        facts.rank >= VenueRank.ACCEPTED and not status.is_final,
        attempt,
        counts,
        may_have_been_sent,
        write.unclaimed,
        # Texts from here on.
        order.account_id,
        facts.venue_order_id,
        # As an array's text: arrays of arrays cannot be taken apart by one level. The names need no quoting.
        "{" + ",".join(sorted(facts.ends)) + "}" if facts.ends else None,
        reasons_as_json(facts.end_reasons) if facts.end_reasons else None,
        reasons_as_json(facts.phase_reasons) if facts.phase_reasons else None,
        error,
        _interval(next_in),
        _interval(write.cancel_in),
    )


def _attempt_fields(end: AttemptEnd | None) -> tuple[int | None, str | None, bool, bool, timedelta | None]:
    if end is None:
        return (None, None, True, False, None)
    error = None if end.error is None else storable(end.error, max_characters=MESSAGE_MAX_CHARACTERS)
    return (end.attempt, error, end.counts, end.may_have_been_sent, end.next_in)


def _interval(interval: timedelta | None) -> str | None:
    return None if interval is None else f"{interval // MICROSECOND} microseconds"


def _execution_row(order: Order, execution: Execution) -> tuple[object, ...]:
    filled, correction = execution.filled, execution.correction
    return (
        execution.id.hex,
        order.id.hex,
        execution.cumulative_quantity,
        filled and filled.quantity,
        filled and filled.price,
        correction and correction.trade.quantity,
        correction and correction.trade.price,
        correction and _moment(correction.corrected_at),
        execution.is_busted,
        _moment(execution.executed_at),
        _moment(execution.received_at),
        # Texts from here on.
        order.account_id,
        execution.venue_execution_id,
    )


def _change_row(numbered_change: NumberedChange) -> tuple[object, ...]:
    change = numbered_change.change
    order, facts, execution = change.order, change.order.facts, change.execution
    status = order.status
    reason = derive_reason(facts, status=status)
    stored = reason and storable_reason(reason)
    trade = execution and execution.trade
    return (
        numbered_change.account_number,
        numbered_change.behind,
        order.id.hex,
        order.version,
        change.kind,
        _moment(order.updated_at),
        status,
        facts.filled_quantity,
        facts.notional,
        stored and stored.source,
        execution and execution.id.hex,
        trade and trade.quantity,
        trade and trade.price,
        execution and _moment(execution.executed_at),
        execution and _moment(execution.received_at),
        # Texts from here on.
        order.account_id,
        stored and stored.code,
        stored and stored.message,
        facts.venue_order_id,
    )
