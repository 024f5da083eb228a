"""Plain Strawberry as in its documentation, with its caches on and a resolver that stores nothing."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated

import strawberry
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from benchmarks.floors.serving import HEALTH, serve


@strawberry.enum
class OrderSide(Enum):
    """Which way."""

    BUY = "BUY"
    SELL = "SELL"


@strawberry.enum
class OrderType(Enum):
    """At what price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"


@strawberry.enum
class TimeInForce(Enum):
    """How long."""

    DAY = "DAY"
    GTC = "GTC"


@strawberry.enum
class OrderStatus(Enum):
    """The order's status."""

    PENDING = "PENDING"
    FILLED = "FILLED"


@strawberry.input
class PlaceOrderInput:
    """The requested order."""

    client_order_id: str
    isin: str
    side: OrderSide
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    time_in_force: TimeInForce | None = None


@strawberry.type
class Order:
    """The resulting order."""

    id: strawberry.ID
    client_order_id: str
    status: OrderStatus
    version: int
    quantity: Decimal
    filled_quantity: Decimal
    created_at: datetime


@strawberry.type
class PlaceOrderSuccess:
    """The accepted order."""

    order: Order
    replayed: bool


@strawberry.type
class UserError:
    """Why it was not."""

    code: str
    message: str


PlaceOrderResult = Annotated[PlaceOrderSuccess | UserError, strawberry.union("PlaceOrderResult")]


@strawberry.type
class Query:
    """A schema must have one."""

    @strawberry.field
    def ready(self) -> bool:
        """Whether it answers."""
        return True


@strawberry.type
class Mutation:
    """Placing, without storing."""

    @strawberry.mutation
    async def place_order(self, input: PlaceOrderInput) -> PlaceOrderResult:  # noqa: A002  # The contract's name.
        """Return an order that is not stored."""
        order = Order(
            id=strawberry.ID(f"ord_{uuid.uuid4().hex}"),
            client_order_id=input.client_order_id,
            status=OrderStatus.PENDING,
            version=1,
            quantity=input.quantity,
            filled_quantity=Decimal(0),
            created_at=datetime.now(UTC),
        )
        return PlaceOrderSuccess(order=order, replayed=False)


if __name__ == "__main__":
    schema = strawberry.Schema(query=Query, mutation=Mutation, extensions=[ParserCache, ValidationCache])
    view: GraphQL[None, None] = GraphQL(schema, graphql_ide=None, subscription_protocols=())
    serve(Starlette(routes=[HEALTH, Route("/graphql", view)]))
