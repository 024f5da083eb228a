"""The arguments of `db.write_statement`: orders, executions and changes, each column as an array literal."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from db.array_literals import moment_array, plain_array, text_array
from db.change_arrays import NumberedChanges, change_columns
from db.columns import MESSAGE_MAX_CHARACTERS
from db.execution_arrays import execution_columns, execution_names
from db.fact_json import reasons_as_json, restatement_as_json, successors_as_json
from db.order_rows import ends_as_json
from domain.model.order import FINAL_STATUSES, VenueRank, is_compared, is_submission_over
from domain.model.values import storable
from domain.ports.ingest_state import Fence
from domain.ports.order_store import AttemptEnd, OrderWrite

MICROSECOND = timedelta(microseconds=1)
_FINAL_STATUSES = sorted(FINAL_STATUSES)


def write_arguments(
    writes: Sequence[OrderWrite], changes: NumberedChanges, *, venue: str, fence: Fence | None
) -> Sequence[object]:
    """Return the arguments of WRITE_FENCED, in order; its variants use the first of them."""
    executed = [(write.order, execution) for write in writes for execution in write.executions]
    *names, venue_order_ids = execution_names([execution for _, execution in executed])
    counts = [write.order.facts.count for write in writes]
    return (
        *_order_columns(writes),
        changes.account_ids,
        changes.counts,
        *change_columns(changes),
        _FINAL_STATUSES,
        len(writes),
        venue,
        *execution_columns(executed),
        plain_array([count and count.quantity for count in counts]),
        moment_array([None if count is None else count.at for count in counts]),
        *names,
        text_array([restatement_as_json(write.order.facts.restatement) for write in writes]),
        text_array([successors_as_json(write.order.facts.successors) for write in writes]),
        text_array([successors_as_json(write.read_successors) for write in writes]),
        venue_order_ids,
        fence and fence.venue,
        fence and fence.epoch,
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
            [
                each.rank >= VenueRank.ACCEPTED and (not is_final or is_compared(order))
                for order, each, is_final in zip(orders, facts, are_final, strict=True)
            ]
        ),
        plain_array([attempt.number for attempt in attempts]),
        plain_array([attempt.counts for attempt in attempts]),
        plain_array([attempt.may_have_been_sent for attempt in attempts]),
        plain_array([write.unclaimed for write in writes]),
        text_array([order.account_id for order in orders]),
        text_array([each.venue_order_id for each in facts]),
        # As an array's text: arrays of arrays cannot be unnested by one level. The names need no quoting.
        text_array(["{" + ",".join(sorted(each.ends)) + "}" if each.ends else None for each in facts]),
        text_array(
            [ends_as_json(each) if each.end_reasons or each.operator_end is not None else None for each in facts]
        ),
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
