"""Requests of operators, for the tests of what becomes of them."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from uuid_utils.compat import uuid7

from domain.model.executions import Trade
from domain.model.operator_actions import Actor
from domain.model.resolutions import Book, NewResolution, ResolveAction
from tests.support.examples import at

OLGA = Actor(subject="olga", token_id="t-1", address="10.0.0.1")


def asked(
    order_id: UUID, action: ResolveAction, *, request: str | None = None, reason: str = "a statement", by: Actor = OLGA
) -> NewResolution:
    """Return a request about the order."""
    new_id = uuid7()
    return NewResolution(
        id=new_id,
        order_id=order_id,
        client_request_id=request or new_id.hex,
        action=action,
        reason=reason,
        actor=by,
    )


def a_booking(quantity: str = "40", *, name: str | None = None, price: str = "12.5", second: int = 2) -> Book:
    """Return an execution as in the venue's statement; `filled` of the examples is at second 2."""
    return Book(
        venue_execution_id=name,
        trade=Trade(quantity=Decimal(quantity), price=Decimal(price)),
        executed_at=at(0) + timedelta(seconds=second),
    )
