"""The effects of operators' reports on an order. No other action of operators changes facts.

An operator's statement outranks missing knowledge, and never a later report of the venue: a booked execution is
replaced by the venue's own (`ExecutionIndex.booking_of`), and an end is overruled by any later report of the venue on
the order.
"""

from dataclasses import replace

from domain.model.execution_index import ExecutionIndex
from domain.model.executions import Execution, taken_back, with_bust
from domain.model.operator_end import OperatorEnd
from domain.model.order import Facts, VenueRank
from domain.model.reports import (
    ExecutionBooked,
    OperatorBusted,
    OperatorEnded,
    OrderAccepted,
    OrderAdopted,
    OrderFilled,
    OrderReplaced,
    OrderShownOpen,
    Report,
)
from domain.model.values import storable_reason


def facts_of_operator(facts: Facts, report: OrderAdopted | OperatorEnded) -> Facts:
    """Return the facts after the report."""
    match report:
        case OrderAdopted():
            return replace(
                without_operator_end(facts), venue_order_id=report.venue_order_id, rank=max(facts.rank, report.rank)
            )
        case OperatorEnded():
            number = 1 if facts.operator_end is None else facts.operator_end.number + 1
            reason = storable_reason(report.reason)
            end = OperatorEnd(number=number, ended_as=report.ended_as, reason=reason, at=report.at)
            return replace(facts, operator_end=end)


def execution_of_operator(report: ExecutionBooked | OperatorBusted, executions: ExecutionIndex) -> Execution | None:
    """Return the execution after the report; None when it is about none, or changes nothing."""
    if isinstance(report, OperatorBusted):
        known = executions.counted(report.venue_execution_id)
        if known is None or known.is_busted:
            return None
        return taken_back(known) if known.is_booked else with_bust(known, at=report.at)
    if executions.recorded_like(report) is not None:
        return None
    return Execution(
        id=report.booking_id,
        venue_execution_id=report.name,
        cumulative_quantity=None,
        filled=report.trade,
        executed_at=report.at,
        received_at=report.booked_at,
        is_booked=True,
        booked_as=report.venue_execution_id,
        venue_order_id=report.venue_order_id,
    )


def is_overruled(before: Facts, after: Facts, report: Report) -> bool:
    """Return whether the report is the venue's, on an order that an operator has ended before it."""
    end = before.operator_end_in_force
    if end is None:
        return False
    match report:
        case OrderShownOpen():
            return report.at > end.at
        case OrderAccepted() | OrderReplaced():
            return report.at > end.at or before.rank is VenueRank.NONE
        case OrderFilled():
            return before != after and (report.at > end.at or before.rank is VenueRank.NONE)
    return False


def without_operator_end(facts: Facts) -> Facts:
    """Return the facts with the operator's end, if there is one, as one that no longer counts."""
    end = facts.operator_end
    return facts if end is None else replace(facts, operator_end=end.overruled())
