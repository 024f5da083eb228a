"""Resolving orders over GraphQL: who may, the possible requests, and the answer while no worker runs."""

import pytest

from domain.model.resolutions import Adopt, Bust, EndAs, Reread
from tests.graph.schema.test_trading import place
from tests.support.api_server import Api, Json, token

OPERATOR = token("olga", scopes=("operator:resolve",), jti="token-7")
RESOLVE = """mutation Resolve($input: ResolveOrderInput!) {
  resolveOrder(input: $input) {
    __typename
    ... on ResolveOrderSuccess { order { id status } }
    ... on InvalidInput { issues { path code message } }
    ... on UserError { code message path } } }"""
ANSWER = "query Ask($id: ID!) { venueAnswer(orderId: $id) { askedAt outcome order error } }"
BOOK = {"quantity": "1", "price": "2.5", "executedAt": "2026-11-20T11:00:00Z"}


async def resolve(api: Api, order_id: str, action: Json, *, reason: str = "a statement", request: str = "r") -> Json:
    """Resolve as an operator; the mutation's result."""
    asked = {"orderId": order_id, "reason": reason, "clientRequestId": request, "action": action}
    result: Json = (await api.data(RESOLVE, {"input": asked}, bearer=OPERATOR))["resolveOrder"]
    return result


async def ordered(api: Api) -> str:
    order_id: str = (await place(api, "one"))["order"]["id"]
    return order_id


async def test_only_operators_who_resolve_may_resolve_or_read_the_venues_answer(api: Api) -> None:
    order_id = await ordered(api)
    asked = {"orderId": order_id, "reason": "r", "clientRequestId": "r", "action": {"reread": True}}
    others = token("eve", scopes=("operator:read", "operator:halt", "operator:limits", "orders:read"))

    for bearer in (None, others):
        assert (await api.error(RESOLVE, {"input": asked}, bearer=bearer))["extensions"]["code"] == "FORBIDDEN"
        assert (await api.error(ANSWER, {"id": order_id}, bearer=bearer))["extensions"]["code"] == "FORBIDDEN"
    assert api.world.orders.resolutions.asked == {}


@pytest.mark.parametrize(
    ("action", "stored"),
    [
        ({"reread": True}, Reread()),
        ({"adoptVenueOrderId": "V1"}, Adopt(venue_order_id="V1")),
        ({"end": "EXPIRED"}, EndAs),
        ({"bustExecutionId": "exe_" + "0" * 31 + "7"}, Bust),
        ({"book": BOOK}, None),
    ],
)
async def test_a_request_is_stored_for_a_worker_and_without_one_its_outcome_is_not_known(
    api: Api, action: Json, stored: object
) -> None:
    result = await resolve(api, await ordered(api), action)

    (request,) = api.world.orders.resolutions.asked.values()
    assert result["code"] == "UNAVAILABLE"
    assert "same clientRequestId" in result["message"]
    assert (request.reason, request.client_request_id) == ("a statement", "r")
    assert (request.actor.subject, request.actor.token_id, request.actor.address) == ("olga", "token-7", "127.0.0.1")
    if isinstance(stored, type):
        assert isinstance(request.action, stored)
    elif stored is not None:
        assert request.action == stored


async def test_a_repeat_is_the_same_request_and_other_content_is_a_conflict(api: Api) -> None:
    order_id = await ordered(api)
    await resolve(api, order_id, {"reread": True})
    await resolve(api, order_id, {"reread": True})

    conflict = await resolve(api, order_id, {"end": "CANCELED"})

    assert len(api.world.orders.resolutions.asked) == 1
    assert (conflict["__typename"], conflict["path"]) == ("ClientRequestIdConflict", ["input", "clientRequestId"])


@pytest.mark.parametrize(
    ("action", "request_id", "path"),
    [
        ({"reread": False}, "r", ["action", "reread"]),
        ({"bustExecutionId": "ord_1"}, "r", ["action", "bustExecutionId"]),
        ({"book": BOOK | {"quantity": "0"}}, "r", ["action", "book", "quantity"]),
        ({"book": BOOK | {"price": "-1"}}, "r", ["action", "book", "price"]),
        ({"book": BOOK | {"price": "1e5"}}, "r", ["action", "book", "price"]),
        ({"book": BOOK | {"executedAt": "2126-11-20T11:00:00Z"}}, "r", ["action", "book", "executedAt"]),
        ({"reread": True}, "", ["clientRequestId"]),
        ({"reread": True}, "x" * 49, ["clientRequestId"]),
        ({"reread": True}, "blank inside", ["clientRequestId"]),
    ],
)
async def test_an_invalid_request_is_named_and_not_stored(
    api: Api, action: Json, request_id: str, path: list[str]
) -> None:
    result = await resolve(api, await ordered(api), action, request=request_id)

    assert result["__typename"] == "InvalidInput"
    assert result["issues"][0]["path"] == ["input", *path]
    assert api.world.orders.resolutions.asked == {}


@pytest.mark.parametrize("action", [{}, {"reread": True, "end": "CANCELED"}, {"reread": None}, {"end": "NOTHING"}])
async def test_exactly_one_action_is_taken(api: Api, action: Json) -> None:
    asked = {"orderId": await ordered(api), "reason": "r", "clientRequestId": "r", "action": action}

    await api.error(RESOLVE, {"input": asked}, bearer=OPERATOR)

    assert api.world.orders.resolutions.asked == {}


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "bell\a"])
async def test_a_reason_is_required_and_bounded(api: Api, reason: str) -> None:
    asked = {"orderId": await ordered(api), "reason": reason, "clientRequestId": "r", "action": {"reread": True}}

    error = await api.error(RESOLVE, {"input": asked}, bearer=OPERATOR)

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert api.world.orders.resolutions.asked == {}


@pytest.mark.parametrize("order_id", ["ord_" + "0" * 32, "nonsense", ""])
async def test_an_order_that_does_not_exist_is_not_found(api: Api, order_id: str) -> None:
    result = await resolve(api, order_id, {"reread": True})

    assert result["code"] == "ORDER_NOT_FOUND"
    assert (await api.error(ANSWER, {"id": order_id}, bearer=OPERATOR))["extensions"]["code"] == "BAD_USER_INPUT"
