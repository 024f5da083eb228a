"""Placing orders: what is stored, what is refused with which code, and the answer to a repeat."""

from dataclasses import replace

import pytest

from domain.model.errors import UnavailableError
from tests.support.api_instruments import APPLE, HALTED
from tests.support.api_server import Api, Json, token
from tests.support.examples import accepted
from tests.support.graphql_orders import PLACE, key_of, limit_order, place, placed_id


async def test_a_valid_order_is_stored_and_returned_pending(api: Api) -> None:
    answer = await place(api)

    assert answer["__typename"] == "PlaceOrderSuccess"
    assert answer["replayed"] is False
    assert answer["order"]["status"] == "PENDING"
    assert answer["order"]["version"] == 1
    assert answer["orderEdge"]["node"]["id"] == answer["order"]["id"]
    assert list(api.world.orders.rows) == [key_of(answer["order"]["id"])]


async def test_the_same_order_sent_again_returns_the_current_order(api: Api) -> None:
    first = await place(api)
    await api.world.report(key_of(first["order"]["id"]), accepted())

    second = await place(api)

    assert second["replayed"] is True
    assert second["order"] == {**first["order"], "status": "PLACED", "version": 2}
    assert len(api.world.orders.rows) == 1


async def test_numbers_that_are_equal_are_the_same_order(api: Api) -> None:
    await place(api)

    again = await place(api, limit_order(quantity="10.0", limitPrice="150.250", timeInForce="DAY"))

    assert again["replayed"] is True


async def test_a_client_order_id_with_other_content_is_a_conflict(api: Api) -> None:
    order_id = await placed_id(api)

    answer = await place(api, limit_order(quantity="11"))

    assert answer["__typename"] == "ClientOrderIdConflict"
    assert answer["code"] == "CLIENT_ORDER_ID_CONFLICT"
    assert answer["path"] == ["input", "clientOrderId"]
    assert answer["existingOrder"] == {"id": order_id}


async def test_a_repeat_is_recognised_after_the_instrument_was_halted(api: Api) -> None:
    first = await place(api)
    await api.world.catalog.save([replace(APPLE, tradable=False)])

    again = await place(api)

    assert again["replayed"] is True
    assert again["order"] == first["order"]


async def test_two_accounts_may_use_the_same_client_order_id(api: Api) -> None:
    first = await place(api)

    second = await place(api, limit_order(quantity="11"), bearer=token("bob"))

    assert second["__typename"] == "PlaceOrderSuccess"
    assert second["order"]["id"] != first["order"]["id"]


async def test_an_instrument_that_is_not_tradable_is_denied(api: Api) -> None:
    answer = await place(api, limit_order(isin=HALTED.isin))

    assert answer["__typename"] == "OrderDenied"
    assert (answer["code"], answer["path"]) == ("INSTRUMENT_NOT_TRADABLE", ["input", "isin"])
    assert not api.world.orders.rows


async def test_a_database_that_does_not_answer_is_reported_and_can_be_retried(api: Api) -> None:
    api.world.orders.failure = UnavailableError()

    answer = await place(api)

    assert answer["__typename"] == "Unavailable"
    assert answer["code"] == "UNAVAILABLE"
    assert answer["retryAfterMs"] == 1000


BAD_ORDERS: list[tuple[str, Json, list[str], str]] = [
    ("an ISIN with a wrong check digit", {"isin": "US0378331006"}, ["input", "isin"], "BAD_FORMAT"),
    ("an ISIN in small letters", {"isin": "us0378331005"}, ["input", "isin"], "BAD_FORMAT"),
    ("an ISIN that is a number", {"isin": 378331005}, ["input", "isin"], "BAD_FORMAT"),
    ("an ISIN of 10 000 characters", {"isin": "A" * 10_000}, ["input", "isin"], "BAD_FORMAT"),
    ("an unknown instrument", {"isin": "US88160R1014"}, ["input", "isin"], "UNKNOWN_INSTRUMENT"),
    ("NaN", {"quantity": "NaN"}, ["input", "quantity"], "BAD_FORMAT"),
    ("infinity", {"quantity": "Infinity"}, ["input", "quantity"], "BAD_FORMAT"),
    ("an exponent", {"quantity": "1e9"}, ["input", "quantity"], "BAD_FORMAT"),
    ("an underscore", {"quantity": "1_000"}, ["input", "quantity"], "BAD_FORMAT"),
    ("arabic digits", {"quantity": "\u0661\u0660"}, ["input", "quantity"], "BAD_FORMAT"),
    ("white space", {"quantity": " 10"}, ["input", "quantity"], "BAD_FORMAT"),
    ("nothing between the quotes", {"quantity": ""}, ["input", "quantity"], "BAD_FORMAT"),
    ("too many digits", {"quantity": "1" * 19}, ["input", "quantity"], "BAD_FORMAT"),
    ("100 000 digits", {"quantity": "1" * 100_000}, ["input", "quantity"], "BAD_FORMAT"),
    ("a JSON number", {"quantity": 10}, ["input", "quantity"], "BAD_FORMAT"),
    ("a JSON number with an exponent", {"quantity": 1e9}, ["input", "quantity"], "BAD_FORMAT"),
    ("a boolean", {"quantity": True}, ["input", "quantity"], "BAD_FORMAT"),
    ("an object", {"quantity": {"value": "10"}}, ["input", "quantity"], "BAD_FORMAT"),
    ("a list", {"quantity": ["10", "11"]}, ["input", "quantity"], "BAD_FORMAT"),
    ("quantity zero", {"quantity": "0"}, ["input", "quantity"], "OUT_OF_RANGE"),
    ("a negative quantity", {"quantity": "-1"}, ["input", "quantity"], "OUT_OF_RANGE"),
    ("a part of a lot", {"quantity": "1.5"}, ["input", "quantity"], "BAD_LOT"),
    ("a float as price", {"limitPrice": 150.25}, ["input", "limitPrice"], "BAD_FORMAT"),
    ("a price off the tick", {"limitPrice": "150.255"}, ["input", "limitPrice"], "BAD_TICK"),
    ("price zero", {"limitPrice": "0"}, ["input", "limitPrice"], "OUT_OF_RANGE"),
    ("a limit order without price", {"limitPrice": None}, ["input", "limitPrice"], "REQUIRED"),
    ("a market order with a price", {"type": "MARKET"}, ["input", "limitPrice"], "NOT_ALLOWED"),
    ("no client order id", {"clientOrderId": ""}, ["input", "clientOrderId"], "BAD_FORMAT"),
    ("a client order id of 49 characters", {"clientOrderId": "x" * 49}, ["input", "clientOrderId"], "BAD_FORMAT"),
    ("an id of 10 000 characters", {"clientOrderId": "x" * 10_000}, ["input", "clientOrderId"], "BAD_FORMAT"),
    ("an id with a NUL", {"clientOrderId": "a\0b"}, ["input", "clientOrderId"], "BAD_FORMAT"),
    ("an id with a line end", {"clientOrderId": "one\n"}, ["input", "clientOrderId"], "BAD_FORMAT"),
]


@pytest.mark.parametrize(
    ("changes", "path", "code"), [row[1:] for row in BAD_ORDERS], ids=[row[0] for row in BAD_ORDERS]
)
async def test_bad_input_is_an_invalid_order_with_path_and_code_and_stores_nothing(
    api: Api, changes: Json, path: list[str], code: str
) -> None:
    answer = await place(api, limit_order(**changes))

    assert answer["__typename"] == "InvalidOrder"
    assert answer["code"] == "INVALID_ORDER"
    assert [(issue["path"], issue["code"]) for issue in answer["issues"]] == [(path, code)]
    assert answer["path"] == path
    assert len(answer["message"]) < 300
    assert not api.world.orders.rows


@pytest.mark.parametrize("literal", ["10", "1.5", "1e9", "NaN", "true", '{a: "1"}', '"1e9"', "1" * 5000])
async def test_a_malformed_number_in_the_document_itself_is_an_invalid_order_too(api: Api, literal: str) -> None:
    fields = 'clientOrderId: "one", isin: "US0378331005", side: BUY, type: MARKET'
    selection = "{ ... on InvalidOrder { issues { path code } } }"
    document = f"mutation {{ placeOrder(input: {{{fields}, quantity: {literal}}}) {selection} }}"

    data = await api.data(document)

    assert data["placeOrder"]["issues"] == [{"path": ["input", "quantity"], "code": "BAD_FORMAT"}]


async def test_everything_invalid_is_reported_together(api: Api) -> None:
    wrong = limit_order(client_order_id="", isin="US0378331005", quantity="NaN", limitPrice="150.255")

    answer = await place(api, wrong, wait_ms=10_001)

    assert [(issue["path"][-1], issue["code"]) for issue in answer["issues"]] == [
        ("waitMs", "OUT_OF_RANGE"),
        ("quantity", "BAD_FORMAT"),
        ("clientOrderId", "BAD_FORMAT"),
        ("limitPrice", "BAD_TICK"),
    ]


@pytest.mark.parametrize("wait_ms", [-1, 10_001])
async def test_a_wait_out_of_range_is_an_invalid_order(api: Api, wait_ms: int) -> None:
    answer = await place(api, wait_ms=wait_ms)

    assert [(issue["path"], issue["code"]) for issue in answer["issues"]] == [(["waitMs"], "OUT_OF_RANGE")]
    assert not api.world.orders.rows


@pytest.mark.parametrize(
    "order",
    [
        limit_order(side="HOLD"),
        limit_order(clientOrderId=7),
        {**limit_order(), "quantity": None},
        {**limit_order(), "leverage": "2"},
    ],
)
async def test_input_that_does_not_fit_the_schema_is_an_error_with_a_code(api: Api, order: Json) -> None:
    error = await api.error(PLACE, {"input": order})

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert not api.world.orders.rows
