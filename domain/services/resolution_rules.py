"""What an operator may decide about an order, as it is stored and as the venue shows it. Pure."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from domain.model.errors import FillwireError
from domain.model.execution_index import ExecutionIndex
from domain.model.executions import Execution
from domain.model.operator_end import EndedAs
from domain.model.order import Facts, OrderStatus, VenueRank
from domain.model.reports import (
    ExecutionBooked,
    OperatorBusted,
    OperatorEnded,
    OrderAccepted,
    OrderAdopted,
    Report,
)
from domain.model.resolutions import Adopt, Book, Bust, EndAs, Refusal, Resolution
from domain.model.values import ZERO, Reason, ReasonSource, format_decimal
from domain.model.venue_chain import chain_of, facts_of, filled_of, key_of
from domain.ports.order_store import LoadedOrder
from domain.ports.venue import ExternalOrder, FoundOrder, UnreadableOrder, VenueOrder
from domain.services.cancellation import was_never_sent
from domain.services.venue_answers import VenueAnswer, is_filled_and_taken_back, reports_of_open

ENDED_BY_STATEMENT = "An operator ended the order as the venue's statement says."


class RefusedError(FillwireError):
    """The request cannot be applied; `refusal` has the reason, and the field of the input."""

    def __init__(self, field: str, message: str) -> None:
        self.refusal = Refusal(field=field, message=message)
        super().__init__(message)


def reports_of(
    asked: Resolution, row: LoadedOrder, *, answer: VenueAnswer | None, found: VenueOrder | None, now: datetime
) -> Sequence[Report]:
    """Return the request as reports about the order. Raises RefusedError."""
    match asked.action:
        case Adopt() if found is not None:
            adopted = OrderAdopted(venue_order_id=found.venue_order_id, rank=_rank_of(found), at=now)
            return [adopted, *reports_of_open(found, at=now)]
        case Book():
            return [_booked(asked.action, asked, row, answer=answer, now=now)]
        case Bust():
            return [OperatorBusted(venue_execution_id=_named_execution(asked.action, row), at=now)]
        case EndAs():
            return [_ended(asked.action.status, row, answer=answer, now=now)]
    raise ValueError(f"{asked.action} is not written as reports")


def check_adoption(row: LoadedOrder, found: FoundOrder | None, *, asked_for: str) -> VenueOrder:
    """Return the venue's order if it is this one. Raises RefusedError."""
    field = "action.adoptVenueOrderId"
    if found is None:
        raise RefusedError(field, f"The venue has no order {asked_for}.")
    if isinstance(found, ExternalOrder):
        raise RefusedError(field, f"The venue's order {asked_for} was not placed by this installation.")
    if isinstance(found, UnreadableOrder):
        raise RefusedError(field, f"The venue's order {asked_for} cannot be read: {found.error}.")
    check_identity(row, found, field=field)
    known = row.order.facts.venue_order_id
    if known is not None and known != asked_for:
        raise RefusedError(field, f"The order is the venue's order {known} already.")
    return found


def check_identity(row: LoadedOrder, found: VenueOrder, *, field: str) -> None:
    """Raise RefusedError unless the venue's order is this one by its name, symbol and side."""
    name, terms = row.order.venue_client_order_id, row.order.terms
    if found.replaces is not None:
        return  # It was followed from ours.
    if found.venue_client_order_id != name:
        message = f"The venue knows that order as {found.venue_client_order_id}; this one is {name}."
        raise RefusedError(field, message)
    if row.order.facts.venue_order_id == found.venue_order_id:
        return  # Linked: the venue may have changed its terms since.
    if found.terms is None:
        raise RefusedError(field, "The venue's order is of a kind that is never sent from here.")
    theirs, ours = (found.terms.symbol, found.terms.side), (terms.symbol, terms.side)
    if theirs != ours:
        message = f"The venue's order is to {' '.join(reversed(theirs))}; this one is to {' '.join(reversed(ours))}."
        raise RefusedError(field, message)


def _rank_of(found: VenueOrder) -> VenueRank:
    return max((one.rank for one in found.reports if isinstance(one, OrderAccepted)), default=VenueRank.ACCEPTED)


def _booked(
    book: Book, asked: Resolution, row: LoadedOrder, *, answer: VenueAnswer | None, now: datetime
) -> ExecutionBooked:
    booked = ExecutionBooked(
        booking_id=asked.id,
        venue_execution_id=book.venue_execution_id,
        trade=book.trade,
        at=book.executed_at,
        booked_at=now,
        venue_order_id=_lacking(row.order.facts, book.trade.quantity, answer),
    )
    known = ExecutionIndex(row.executions).recorded_like(booked)
    if known is not None:
        raise RefusedError("action.book", _is_recorded(known))
    if was_never_sent(row):
        raise RefusedError("orderId", "The order was never sent: it cannot have executed.")
    filled = row.order.facts.filled_quantity + book.trade.quantity
    if filled > row.order.quantity:
        message = f"With it {format_decimal(filled)} of {format_decimal(row.order.quantity)} would be filled."
        raise RefusedError("action.book.quantity", message)
    return booked


def _lacking(facts: Facts, quantity: Decimal, answer: VenueAnswer | None) -> str | None:
    """Return the venue order of which the venue counts so much more than is recorded, else the newest one.

    None is the first one: a booking that is not of the newest would be taken for a part of what came before it.
    """
    if not facts.successors:
        return None
    chain = chain_of(facts)
    counted = {name: count.quantity for name in chain if (count := facts_of(facts, key_of(facts, name)).count)}
    counted |= {one.venue_order_id: one.filled_quantity for one in (() if answer is None else answer.found)}
    for name in reversed(chain):
        key = key_of(facts, name)
        if name in counted and counted[name] - filled_of(facts, key) >= quantity:
            return key
    return key_of(facts, chain[-1])


def _is_recorded(known: Execution) -> str:
    by_whom = "An operator has booked" if known.is_open_booking else "The venue has reported"
    return (
        f"{by_whom} an execution that this may be: exe_{known.id.hex}. If it is another one, name it by its "
        "venueExecutionId."
    )


def _named_execution(bust: Bust, row: LoadedOrder) -> str:
    known = next((one for one in row.executions if one.id == bust.execution_id), None)
    if known is None:
        raise RefusedError("action.bustExecutionId", "The order has no such execution.")
    if known.is_busted:
        raise RefusedError("action.bustExecutionId", "The execution is busted already.")
    return known.venue_execution_id


def _ended(status: OrderStatus, row: LoadedOrder, *, answer: VenueAnswer | None, now: datetime) -> OperatorEnded:
    field, order = "action.end", row.order
    if order.status.is_final:
        raise RefusedError(field, f"The order is {order.status} already.")
    if status is OrderStatus.FILLED:
        raise RefusedError(field, _not_filled(order.facts, order.quantity))
    if status.value not in EndedAs.__members__:
        raise RefusedError(field, f"No order ends as {status}. Choose one of {', '.join(EndedAs)}.")
    if status in {OrderStatus.REJECTED, OrderStatus.FAILED} and order.facts.filled_quantity > ZERO:
        message = f"{format_decimal(order.facts.filled_quantity)} of it are filled: end it as CANCELED or EXPIRED."
        raise RefusedError(field, message)
    if was_never_sent(row):
        raise RefusedError("orderId", "The order was never sent: cancel it.")
    if row.lease_until is not None and row.lease_until > now:
        raise RefusedError("orderId", "It is being submitted at this moment. Ask again in a minute.")
    if answer is not None and answer.order is not None and not is_filled_and_taken_back(order, answer.order):
        raise RefusedError(field, _shown_by_venue(answer.order))
    # The account can read this. The operator's reason is in the trail.
    reason = Reason(source=ReasonSource.OPERATOR, code=f"OPERATOR_{status}", message=ENDED_BY_STATEMENT)
    return OperatorEnded(ended_as=EndedAs(status.value), reason=reason, at=now)


def _not_filled(facts: Facts, quantity: Decimal) -> str:
    return (
        f"{format_decimal(facts.filled_quantity)} of {format_decimal(quantity)} are recorded: an order is FILLED once "
        "its executions add up. Book those that are missing."
    )


def _shown_by_venue(found: VenueOrder) -> str:
    if found.is_open:
        return "The venue shows the order open: cancel it, or wait until the venue no longer has it."
    return "The venue shows itself how the order ended: reread it."
