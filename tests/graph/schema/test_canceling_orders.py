"""Canceling: the answer, and each reason why it can fail."""

import pytest

from domain.model.errors import UnavailableError, VersionConflictError
from tests.support.api_server import Api, Json, token
from tests.support.examples import accepted, filled
from tests.support.graphql_orders import key_of, placed_id

CANCEL = """
mutation Cancel($id: ID!) {
  cancelOrder(input: { orderId: $id }) {
    __typename
    ... on CancelOrderSuccess { order { id status version } }
    ... on UserError { code path }
    ... on NotCancelable { order { status } }
    ... on Unavailable { retryAfterMs }
  }
}
"""


async def cancel(api: Api, order_id: str, *, bearer: str | None = None) -> Json:
    answer: Json = (await api.data(CANCEL, {"id": order_id}, bearer=bearer))["cancelOrder"]
    return answer


async def test_a_placed_order_waits_for_the_venue_to_cancel_it(api: Api) -> None:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), accepted())

    answer = await cancel(api, order_id)

    assert answer == {
        "__typename": "CancelOrderSuccess",
        "order": {"id": order_id, "status": "PENDING_CANCEL", "version": 3},
    }


async def test_a_final_order_is_not_cancelable(api: Api) -> None:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), filled("10"))

    answer = await cancel(api, order_id)

    assert answer["__typename"] == "NotCancelable"
    assert answer["code"] == "NOT_CANCELABLE"
    assert answer["path"] == ["input", "orderId"]
    assert answer["order"] == {"status": "FILLED"}


async def test_unknown_malformed_and_other_accounts_orders_are_all_not_found(api: Api) -> None:
    foreign = await placed_id(api, bearer=token("bob"))

    answers = [await cancel(api, order_id) for order_id in (foreign, "ord_" + "0" * 32, "nonsense", "")]

    not_found = {"__typename": "OrderNotFound", "code": "ORDER_NOT_FOUND", "path": ["input", "orderId"]}
    assert answers == [not_found] * 4


async def test_an_operator_cancels_in_every_account(api: Api) -> None:
    order_id = await placed_id(api)

    answer = await cancel(api, order_id, bearer=token("desk", scopes=["operator", "orders:cancel"]))

    assert answer["__typename"] == "CancelOrderSuccess"


@pytest.mark.parametrize("failure", [UnavailableError(), VersionConflictError()])
async def test_what_may_succeed_later_is_unavailable(api: Api, failure: Exception) -> None:
    order_id = await placed_id(api)
    api.world.orders.failure = failure

    answer = await cancel(api, order_id)

    assert answer == {"__typename": "Unavailable", "code": "UNAVAILABLE", "path": None, "retryAfterMs": 1000}
