"""What a mutation answers: success or one of its expected failures."""

from typing import Annotated

import strawberry

from graph.types.connection import Edge
from graph.types.order import Order
from graph.types.user_errors import (
    ClientOrderIdConflict,
    InvalidOrder,
    NotCancelable,
    OrderDenied,
    OrderNotFound,
    Unavailable,
)


@strawberry.type
class PlaceOrderSuccess:
    order: Order
    order_edge: Edge[Order]
    replayed: bool = strawberry.field(
        description=(
            "True when this clientOrderId had been used with the same input: the order is the one from then, as it "
            "stands now."
        )
    )


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
