"""The fast path for nearly all reports: the next fill of an order that is open at the venue.

It has no rules of its own: for the reports that it applies, the result is that of `domain.model.apply_reports`, in a
quarter of the time; all other reports are applied by it. A property test compares both
(tests/domain/model/test_fast_fills.py).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.model.apply_reports import Applied
from domain.model.changes import Change, ChangeKind
from domain.model.executions import Execution
from domain.model.order import Facts, Order, VenueRank
from domain.model.reports import OrderFilled, Report
from domain.model.values import EXACT, ZERO


def apply_plain_fills(
    order: Order, reports: Sequence[Report], *, now: datetime, new_id: Callable[[], UUID]
) -> Applied | None:
    """Apply fills of which each continues where the one before ended; None when a report is anything else.

    No stored execution of the order may be one that the reports name. Arguments as for `apply_reports`.
    """
    facts = order.facts
    if (
        facts.ends
        or facts.successors
        or facts.operator_end is not None
        or facts.cancel.is_open
        or facts.rank is not VenueRank.WORKING
    ):
        return None
    if facts.count is not None:  # The fill may be newer.
        return None
    quantity = order.quantity
    changes: list[Change] = []
    executions: dict[str, Execution] = {}
    for report in reports:
        if not isinstance(report, OrderFilled) or report.venue_execution_id in executions:
            return None
        filled = EXACT.add(order.facts.filled_quantity, report.trade.quantity)
        if filled > quantity or not _is_next(report, filled, order):
            return None
        execution = Execution(
            id=new_id(),
            venue_execution_id=report.venue_execution_id,
            cumulative_quantity=report.cumulative_quantity,
            filled=report.trade,
            executed_at=report.at,
            received_at=now,
        )
        executions[report.venue_execution_id] = execution
        notional = EXACT.multiply(report.trade.quantity, report.trade.price)
        facts = _filled(order.facts, filled_quantity=filled, notional=EXACT.add(order.facts.notional, notional))
        order = _next_version(order, facts, at=now)
        changes.append(Change(kind=ChangeKind.FILL, order=order, execution=execution))
    return Applied(order=order, changes=changes, executions=list(executions.values()), anomalies=())


def _is_next(report: OrderFilled, filled: Decimal, order: Order) -> bool:
    """Return whether no fill is missing before it, and only the fill is new."""
    return (
        report.cumulative_quantity == filled
        and report.trade.quantity > ZERO
        and report.venue_order_id == order.facts.venue_order_id
    )


# Written out field by field: `dataclasses.replace` costs as much as the rest.
def _filled(facts: Facts, *, filled_quantity: Decimal, notional: Decimal) -> Facts:
    return Facts(
        phase=facts.phase,
        rank=facts.rank,
        venue_order_id=facts.venue_order_id,
        filled_quantity=filled_quantity,
        notional=notional,
        ends=facts.ends,
        cancel=facts.cancel,
        end_reasons=facts.end_reasons,
        phase_reasons=facts.phase_reasons,
        count=facts.count,
        operator_end=facts.operator_end,
        restatement=facts.restatement,
        successors=facts.successors,
    )


def _next_version(order: Order, facts: Facts, *, at: datetime) -> Order:
    return Order(
        id=order.id,
        account_id=order.account_id,
        venue_client_order_id=order.venue_client_order_id,
        terms=order.terms,
        created_at=order.created_at,
        updated_at=at,
        version=order.version + 1,
        facts=facts,
    )
