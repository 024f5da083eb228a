"""Operators' inputs for orders that cannot be resolved automatically, and the results."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from domain.model import resolutions
from domain.model.errors import InputIssue, InvalidInputError, IssueCode
from domain.model.executions import Trade
from domain.model.operator_actions import Actor
from domain.model.values import ZERO
from graph.schema.enums import OrderStatus
from graph.schema.global_ids import read_execution_id
from graph.schema.scalars import GivenDecimal
from graph.schema.types.inputs import checked_reason, checked_text, given
from graph.schema.types.order import Order
from graph.schema.types.user_errors import ClientRequestIdConflict, InvalidInput, OrderNotFound, Unavailable

NOT_A_DECIMAL = 'Expected a decimal as a string, such as "12.50", at most 18 digits on each side of the point.'


@strawberry.input(description="An execution as the venue's statement shows it.")
class BookExecutionInput:
    venue_execution_id: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            "The venue's id for it, where the statement shows one. Without it the execution is recognised by its "
            "quantity, its price and a time within 60 seconds once the venue lists it."
        ),
    )
    quantity: GivenDecimal = strawberry.field(description="Above zero.")
    price: GivenDecimal = strawberry.field(description="Of one piece; above zero.")
    executed_at: datetime = strawberry.field(description="When it was executed, not when it is booked.")

    def action(self) -> resolutions.Book:
        """Return the action; raises InvalidInputError for what is no decimal."""
        amounts = {"quantity": self.quantity.value, "price": self.price.value}
        issues = [_issue(("book", name), NOT_A_DECIMAL) for name, amount in amounts.items() if amount is None]
        if issues:
            raise InvalidInputError(issues)
        name = given(self.venue_execution_id)
        return resolutions.Book(
            venue_execution_id=checked_text("venueExecutionId", name) if name else None,
            trade=Trade(quantity=amounts["quantity"] or ZERO, price=amounts["price"] or ZERO),
            executed_at=self.executed_at,
        )


@strawberry.input(one_of=True, description="Exactly one.")
class ResolveAction:
    reread: strawberry.Maybe[bool] = strawberry.field(
        description="true: look the order up at the venue now, and record what it shows."
    )
    adopt_venue_order_id: strawberry.Maybe[str] = strawberry.field(
        description="The venue's order that this one is; its client order id, symbol and side are compared first."
    )
    book: strawberry.Maybe[BookExecutionInput] = strawberry.field(
        description="An execution that the venue does not list. Once the venue lists it, they are one."
    )
    bust_execution_id: strawberry.Maybe[strawberry.ID] = strawberry.field(
        description="An execution, of the venue or booked, that did not happen."
    )
    end: strawberry.Maybe[OrderStatus] = strawberry.field(
        description=(
            "As what the venue's statement says that the order ended: CANCELED, EXPIRED, REJECTED or FAILED. Refused "
            "while the venue shows the order. What the venue shows later outranks it (REVIVED)."
        )
    )

    def action(self) -> resolutions.ResolveAction:
        """Return the action for the domain; raises InvalidInputError."""
        if self.adopt_venue_order_id is not None:
            name = checked_text("adoptVenueOrderId", self.adopt_venue_order_id.value)
            return resolutions.Adopt(venue_order_id=name)
        if self.book is not None:
            return self.book.value.action()
        if self.bust_execution_id is not None:
            return resolutions.Bust(execution_id=_execution(self.bust_execution_id.value))
        if self.end is not None:
            return resolutions.EndAs(status=self.end.value)
        if self.reread is None or not self.reread.value:
            raise InvalidInputError([_issue(("reread",), "Expected true.")])
        return resolutions.Reread()


@strawberry.input(description="One action on one order.")
class ResolveOrderInput:
    order_id: strawberry.ID = strawberry.field(description="The order.")
    reason: str = strawberry.field(description="Why, for the audit trail; 1 to 500 characters. The account sees none.")
    client_request_id: str = strawberry.field(
        description=(
            "Chosen by the client, one for each intent, 1 to 48 characters of A-Z a-z 0-9 . _ : -. Sent again "
            "unchanged on every retry: nothing is done twice."
        )
    )
    action: ResolveAction = strawberry.field(description="What to do.")

    def request(self, *, new_id: UUID, order_id: UUID, actor: Actor) -> resolutions.NewResolution:
        """Return the request for the domain; raises InvalidInputError."""
        return resolutions.NewResolution(
            id=new_id,
            order_id=order_id,
            client_request_id=self.client_request_id,
            action=self.action.action(),
            reason=checked_reason(self.reason, is_required=True),
            actor=actor,
        )


@strawberry.type(description="It was done, and stands in the audit trail.")
class ResolveOrderSuccess:
    order: Order = strawberry.field(description="The order as it stands now.")


ResolveOrderResult = Annotated[
    ResolveOrderSuccess | InvalidInput | OrderNotFound | ClientRequestIdConflict | Unavailable,
    strawberry.union("ResolveOrderResult"),
]


def _execution(node_id: str) -> UUID:
    found = read_execution_id(node_id)
    if found is None:
        raise InvalidInputError([_issue(("bustExecutionId",), "Expected the id of an execution.")])
    return found


def _issue(path: tuple[str, ...], message: str) -> InputIssue:
    return InputIssue(path=("input", "action", *path), code=IssueCode.BAD_FORMAT, message=message)
