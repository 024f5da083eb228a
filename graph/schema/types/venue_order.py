"""The venue orders of an order, as stored and as returned by the venue."""

from datetime import datetime
from decimal import Decimal

import strawberry

from domain.model.changes import VenueOrderView
from domain.services.venue_answers import ShownAnswer


@strawberry.type(description="An order at the venue that is behind an order of ours.")
class VenueOrder:
    venue_order_id: str | None = strawberry.field(description="The venue's own id; null until the venue has shown it.")
    venue_client_order_id: str = strawberry.field(
        description=(
            "The id under which the order was sent to the venue; of one that replaced it, the id that the venue shows, "
            "empty until it does."
        )
    )
    venue_status: str | None = strawberry.field(description="The venue's word for how it ended; null while it is open.")
    filled_quantity: Decimal = strawberry.field(description="How much of it is filled, by its recorded executions.")
    replaces: str | None = strawberry.field(description="The venue's id of the order that it replaced; null for none.")
    ended_at: datetime | None = strawberry.field(description="When it ended at the venue; null while not known.")


@strawberry.type(description="What the venue answers about the order at this moment, beside what is stored.")
class VenueAnswer:
    asked_at: datetime = strawberry.field(description="When the venue was asked.")
    outcome: str = strawberry.field(
        description="FOUND, NOT_FOUND (the venue says itself that it has no such order) or NO_ANSWER."
    )
    order: str | None = strawberry.field(description="The venue's order as it was read, as a JSON object.")
    error: str | None = strawberry.field(description="Why there is no answer.")


def venue_order_from(one: VenueOrderView) -> VenueOrder:
    """Return the venue's order in public form."""
    return VenueOrder(
        venue_order_id=one.venue_order_id,
        venue_client_order_id=one.venue_client_order_id,
        venue_status=one.venue_status,
        filled_quantity=one.filled_quantity,
        replaces=one.replaces,
        ended_at=one.ended_at,
    )


def venue_answer_from(answer: ShownAnswer) -> VenueAnswer:
    """Return the venue's answer in public form."""
    return VenueAnswer(asked_at=answer.asked_at, outcome=answer.outcome, order=answer.order, error=answer.error)
