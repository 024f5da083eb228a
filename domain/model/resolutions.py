"""Operators' requests for orders that cannot be resolved automatically: one action on one order, with a reason."""

from datetime import datetime, timedelta
from uuid import UUID

from domain.model.executions import Trade
from domain.model.frozen import frozen
from domain.model.operator_actions import ActionKind, Actor, moment_text, state
from domain.model.order import OrderStatus
from domain.model.values import format_decimal, parse_decimal

APPLIED_WITHIN = timedelta(minutes=10)
"""How old a request may be: nobody expects an older one to be applied, and much may have happened since."""


@frozen
class Reread:
    """Look up the order at the venue and record the result."""


@frozen
class Adopt:
    """Link the order to an order of the venue."""

    venue_order_id: str


@frozen
class Book:
    """Book an execution; `venue_execution_id` is the venue's id for it, if the operator knew it."""

    venue_execution_id: str | None
    trade: Trade
    executed_at: datetime


@frozen
class Bust:
    """Bust an execution."""

    execution_id: UUID


@frozen
class EndAs:
    """End the order according to the venue's statement."""

    status: OrderStatus


@frozen
class AskVenue:
    """Look up the order at the venue and change nothing."""


ResolveAction = Reread | Adopt | Book | Bust | EndAs | AskVenue

VENUE_ASKED = "VENUE_ASKED"
"""The kind of a question. It changes nothing, so it is no operator's action and not in the audit trail."""
KINDS: dict[type[ResolveAction], str] = {
    Reread: ActionKind.ORDER_REREAD,
    Adopt: ActionKind.ORDER_ADOPTED,
    Book: ActionKind.EXECUTION_BOOKED,
    Bust: ActionKind.EXECUTION_BUSTED,
    EndAs: ActionKind.ORDER_ENDED,
    AskVenue: VENUE_ASKED,
}


@frozen
class NewResolution:
    """A request of an operator. A repeat under the same `client_request_id` by the same subject is the same request."""

    id: UUID
    order_id: UUID
    client_request_id: str
    action: ResolveAction
    reason: str
    actor: Actor


@frozen
class Refusal:
    """Why a request was not done: a sentence, and the field of the input that it is about."""

    field: str
    message: str


@frozen
class Resolution:
    """A stored request. It is done once `done_at` is set: applied, refused, or answered."""

    id: UUID
    order_id: UUID
    action: ResolveAction
    reason: str
    asked_at: datetime
    done_at: datetime | None
    refusal: Refusal | None
    answer: str | None

    @property
    def is_question(self) -> bool:
        """Whether it changes nothing."""
        return isinstance(self.action, AskVenue)


def arguments_text(action: ResolveAction) -> str:
    """Return the action's arguments as a JSON object: the same text for the same content."""
    match action:
        case Adopt():
            return state({"venueOrderId": action.venue_order_id})
        case Book():
            booked = {
                "venueExecutionId": action.venue_execution_id,
                "quantity": format_decimal(action.trade.quantity),
                "price": format_decimal(action.trade.price),
                "executedAt": moment_text(action.executed_at),
            }
            return state(booked)
        case Bust():
            return state({"executionId": action.execution_id.hex})
        case EndAs():
            return state({"status": action.status})
        case Reread() | AskVenue():
            return state({})


def read_action(kind: str, arguments: dict[str, str]) -> ResolveAction:
    """Return the action of a kind and its arguments, as they are stored."""
    if kind == VENUE_ASKED:
        return AskVenue()
    match ActionKind(kind):
        case ActionKind.ORDER_ADOPTED:
            return Adopt(venue_order_id=arguments["venueOrderId"])
        case ActionKind.EXECUTION_BOOKED:
            quantity, price = parse_decimal(arguments["quantity"]), parse_decimal(arguments["price"])
            return Book(
                venue_execution_id=arguments["venueExecutionId"],
                trade=Trade(quantity=quantity, price=price),
                executed_at=datetime.fromisoformat(arguments["executedAt"]),
            )
        case ActionKind.EXECUTION_BUSTED:
            return Bust(execution_id=UUID(hex=arguments["executionId"]))
        case ActionKind.ORDER_ENDED:
            return EndAs(status=OrderStatus(arguments["status"]))
        case ActionKind.ORDER_REREAD:
            return Reread()
    raise ValueError(f"{kind} resolves no order")
