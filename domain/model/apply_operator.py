"""What the reports of operators do to an order. Nothing else of theirs changes facts.

What an operator states outranks that we know nothing, and never what the venue says later: a booked execution yields to
the venue's own (`ExecutionIndex.booking_of`), and an end to whatever the venue shows of the order afterwards.
"""

from dataclasses import replace

from domain.model.execution_index import ExecutionIndex
from domain.model.executions import Execution, with_bust
from domain.model.operator_end import OperatorEnd
from domain.model.order import Facts, VenueRank
from domain.model.reports import (
    ExecutionBooked,
    OperatorBusted,
    OperatorEnded,
    OperatorReport,
    OrderAccepted,
    OrderAdopted,
    OrderFilled,
    OrderShownOpen,
    Report,
)


def facts_of_operator(facts: Facts, report: OperatorReport) -> Facts:
    """Return the facts after the report, but for the sums of executions."""
    match report:
        case OrderAdopted():
            return replace(_without_end(facts), venue_order_id=report.venue_order_id, rank=max(facts.rank, report.rank))
        case OperatorEnded():
            number = 1 if facts.operator_end is None else facts.operator_end.number + 1
            end = OperatorEnd(number=number, ended_as=report.ended_as, reason=report.reason, at=report.at)
            return replace(facts, operator_end=end)
        case ExecutionBooked() | OperatorBusted():
            return facts


def execution_of_operator(
    report: OperatorReport, executions: ExecutionIndex
) -> tuple[Execution | None, Execution | None]:
    """Return the execution before and after the report; None and None when it concerns none, or changes nothing."""
    if isinstance(report, OperatorBusted):
        known = executions.get(report.venue_execution_id)
        return (None, None) if known is None or known.is_busted else (known, with_bust(known))
    if isinstance(report, ExecutionBooked) and executions.recorded_like(report) is None:
        unfilled = Execution(
            id=report.booking_id,
            venue_execution_id=report.name,
            cumulative_quantity=None,
            executed_at=report.at,
            received_at=report.booked_at,
            is_booked=True,
            booked_as=report.venue_execution_id,
        )
        return unfilled, replace(unfilled, filled=report.trade)
    return None, None


def is_overruled(before: Facts, after: Facts, report: Report) -> bool:
    """Return whether the report is the venue's word on an order that an operator has ended before it."""
    end = before.operator_end_in_force
    if end is None:
        return False
    match report:
        case OrderShownOpen():
            return report.at > end.at
        case OrderAccepted():
            return report.at > end.at or before.rank is VenueRank.NONE
        case OrderFilled():
            return before != after and (report.at > end.at or before.rank is VenueRank.NONE)
    return False


def _without_end(facts: Facts) -> Facts:
    end = facts.operator_end
    return facts if end is None else replace(facts, operator_end=end.overruled())
