"""What the venue answers about one order at this moment, for people to compare with what is stored."""

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from domain.model.errors import VenueUnreachableError
from domain.model.frozen import frozen
from domain.model.operator_actions import moment_text, state
from domain.model.order import Order, VenueRank
from domain.model.reports import OrderAccepted, OrderEnded, OrderShownOpen, Report
from domain.model.values import Terms, format_decimal
from domain.model.venue_chain import filled_at
from domain.ports.venue import Venue, VenueOrder
from domain.services.chain_look_up import look_up


class AnswerKind(StrEnum):
    """What became of the question. Stable: programs may switch over it."""

    FOUND = "FOUND"
    NOT_FOUND = "NOT_FOUND"
    NO_ANSWER = "NO_ANSWER"


@frozen
class VenueAnswer:
    """The venue's answer. `order` is the order as read, None when there is none; `error` why it is not known.

    For a replaced order it is the newest of the `found` venue orders.
    """

    asked_at: datetime
    outcome: AnswerKind
    order: VenueOrder | None = None
    found: Sequence[VenueOrder] = ()
    error: str | None = None


@frozen
class ShownAnswer:
    """The same in stored form: `order` is a JSON object as text."""

    asked_at: datetime
    outcome: str
    order: str | None
    error: str | None


async def ask(venue: Venue, order: Order, *, now: datetime) -> VenueAnswer:
    """Look up the order; the absence of a usable answer is an answer, too."""
    try:
        found = await look_up(venue, order)
    except VenueUnreachableError as error:
        return VenueAnswer(asked_at=now, outcome=AnswerKind.NO_ANSWER, error=str(error))
    if not found:
        return VenueAnswer(asked_at=now, outcome=AnswerKind.NOT_FOUND)
    return VenueAnswer(asked_at=now, outcome=AnswerKind.FOUND, order=found[-1], found=found)


def reports_of_open(found: VenueOrder, *, at: datetime) -> Sequence[Report]:
    """Return the reports of the venue's order; for an open one also that it was open then."""
    return [*found.reports, OrderShownOpen(at=at)] if found.is_open else found.reports


def is_filled_and_taken_back(order: Order, found: VenueOrder) -> bool:
    """Return whether the venue calls the order filled, and has taken back executions of it since: it goes on nowhere.

    Only while what it counts is recorded: then nothing follows that would end the order here.
    """
    is_filled = not found.is_open and not any(isinstance(report, OrderEnded) for report in found.reports)
    filled = filled_at(order.facts, found.venue_order_id)
    return is_filled and found.terms is not None and filled == found.filled_quantity < found.terms.quantity


def write_answer(answer: VenueAnswer) -> str:
    """Return the answer as JSON text."""
    return json.dumps(
        {
            "askedAt": moment_text(answer.asked_at),
            "outcome": answer.outcome,
            "order": None if answer.order is None else shown_order(answer.order),
            "error": answer.error,
        }
    )


def read_answer(text: str) -> ShownAnswer:
    """Return the answer that `write_answer` wrote."""
    stored = json.loads(text)
    return ShownAnswer(
        asked_at=datetime.fromisoformat(stored["askedAt"]),
        outcome=stored["outcome"],
        order=stored["order"],
        error=stored["error"],
    )


def shown_order(order: VenueOrder) -> str:
    """Return the venue's order as a JSON object: what was understood of it."""
    shown: dict[str, object] = {
        "venueOrderId": order.venue_order_id,
        "venueClientOrderId": order.venue_client_order_id,
        "isOpen": order.is_open,
        "filledQuantity": order.filled_quantity,
        "submittedAt": order.submitted_at,
        "says": [said for report in order.reports if (said := _said(report))],
    }
    return state(shown if order.terms is None else {**shown, **_shown_terms(order.terms)})


def _shown_terms(terms: Terms) -> dict[str, object]:
    return {
        "symbol": terms.symbol,
        "side": terms.side,
        "type": terms.type,
        "timeInForce": terms.time_in_force,
        "quantity": terms.quantity,
        "limitPrice": None if terms.limit_price is None else format_decimal(terms.limit_price),
    }


def _said(report: object) -> str | None:
    match report:
        case OrderAccepted(rank=rank):
            return "WORKING" if rank is VenueRank.WORKING else "ACCEPTED"
        case OrderEnded(end=end, reason=reason):
            return f"{end}: {reason.message}"
    return None
