"""Placing orders in tests."""

from typing import Any
from uuid import UUID

from tests.support.api_server import Api, Json

PLACE = """
mutation Place($input: PlaceOrderInput!, $waitMs: Int) {
  placeOrder(input: $input, waitMs: $waitMs) {
    __typename
    ... on PlaceOrderSuccess { replayed order { id status version clientOrderId } orderEdge { cursor node { id } } }
    ... on UserError { code message path }
    ... on InvalidOrder { issues { path code message } }
    ... on ClientOrderIdConflict { existingOrder { id } }
    ... on Unavailable { retryAfterMs }
  }
}
"""


def limit_order(client_order_id: str = "one", **changes: object) -> Json:
    """Return a valid order for ten shares of Apple; `changes` replaces fields, None leaves them out."""
    order: dict[str, Any] = {
        "clientOrderId": client_order_id,
        "isin": "US0378331005",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "10",
        "limitPrice": "150.25",
        **changes,
    }
    return {name: value for name, value in order.items() if value is not None}


async def place(api: Api, order: Json | None = None, *, bearer: str | None = None, wait_ms: int | None = None) -> Json:
    """Return the answer of placeOrder."""
    variables = {"input": order or limit_order(), "waitMs": wait_ms}
    answer: Json = (await api.data(PLACE, variables, bearer=bearer))["placeOrder"]
    return answer


async def placed_id(api: Api, client_order_id: str = "one", *, bearer: str | None = None) -> str:
    """Place an order and return its node id."""
    answer = await place(api, limit_order(client_order_id), bearer=bearer)
    order_id: str = answer["order"]["id"]
    return order_id


def key_of(node_id: str) -> UUID:
    """Return the key in a node id."""
    return UUID(hex=node_id.partition("_")[2])
