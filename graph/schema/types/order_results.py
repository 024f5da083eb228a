"""What a mutation answers: success or one of its expected failures."""

from collections.abc import Callable
from typing import Annotated

import strawberry

from graph.schema.types.connection import Edge
from graph.schema.types.order import Order
from graph.schema.types.user_errors import (
    ClientOrderIdConflict,
    InvalidOrder,
    NotCancelable,
    OrderDenied,
    OrderNotFound,
    Unavailable,
)


def _order_edge(self: "PlaceOrderSuccess") -> Edge[Order]:
    return Edge(cursor=self.cursor(), node=self.order)


@strawberry.type
class PlaceOrderSuccess:
    order: Order
    # Only clients that maintain a list select it, and its cursor costs as much as the order's fields.
    order_edge: Edge[Order] = strawberry.field(resolver=_order_edge)
    replayed: bool = strawberry.field(
        description=(
            "True when this clientOrderId had been used with the same input: the order is the one from then, as it "
            "stands now."
        )
    )
    cursor: strawberry.Private[Callable[[], str]]


@strawberry.type
class CancelOrderSuccess:
    order: Order


PlaceOrderResult = Annotated[
    PlaceOrderSuccess | InvalidOrder | ClientOrderIdConflict | OrderDenied | Unavailable,
    strawberry.union("PlaceOrderResult"),
]
CancelOrderResult = Annotated[
    CancelOrderSuccess | OrderNotFound | NotCancelable | Unavailable,
    strawberry.union("CancelOrderResult"),
]
