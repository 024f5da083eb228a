"""The enums of the contract. They are the domain's own; here they get their public names and descriptions.

Types of the schema import them from here, so that none is met before it has its public name.
"""

from collections.abc import Mapping
from enum import Enum, StrEnum

import strawberry

from domain.model.changes import ChangeKind
from domain.model.order import OrderStatus
from domain.model.order_query import OrderSort
from domain.model.values import OrderType, ReasonSource, Side, TimeInForce

__all__ = [
    "ChangeKind",
    "OrderSort",
    "OrderStatus",
    "OrderStreamKind",
    "OrderType",
    "OrderUpdateKind",
    "ReasonSource",
    "Side",
    "TimeInForce",
]


@strawberry.enum
class OrderUpdateKind(StrEnum):
    """What an update of one order brings."""

    SNAPSHOT = "SNAPSHOT"
    CHANGE = "CHANGE"


@strawberry.enum
class OrderStreamKind(StrEnum):
    """What an update of an account's stream brings."""

    CHECKPOINT = "CHECKPOINT"
    CHANGE = "CHANGE"
    RESET = "RESET"


def _describe(enum: type[Enum], descriptions: Mapping[str, str]) -> None:
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]  # set by strawberry.enum
        value.description = descriptions.get(value.name)


strawberry.enum(Side, name="OrderSide")
strawberry.enum(OrderType)
strawberry.enum(TimeInForce)
strawberry.enum(ReasonSource)
strawberry.enum(OrderSort)
strawberry.enum(ChangeKind, name="OrderChangeKind")
strawberry.enum(OrderStatus)
_describe(
    OrderStatus,
    {
        "PENDING": "Stored for good; being placed, or waiting for the next attempt.",
        "IN_DOUBT": (
            "Sent, and the answer was lost: being looked up. Neither placed nor failed until there is evidence."
        ),
        "PLACED": "The venue has it.",
        "PENDING_CANCEL": "Cancellation was asked for and is not yet confirmed. It can still fill.",
        "REJECTED": "The venue refused it.",
        "FAILED": "Every attempt was used up and the venue is known not to have it.",
    },
)
_describe(
    OrderUpdateKind,
    {
        "SNAPSHOT": (
            "The order as it stands now: the first message, unless afterVersion is given and its changes are "
            "still kept."
        ),
    },
)
_describe(
    OrderStreamKind,
    {
        "CHECKPOINT": "Where the stream stands: the first message. cursor is where to resume from.",
        "RESET": "What was missed is no longer kept: read orders again, then go on from this cursor.",
    },
)
