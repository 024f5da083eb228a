"""Repeated requests of a client, and their invisible effects."""

import asyncio
import secrets

import pytest

from tests.support.system import Json, System

WATCH = "subscription Watch($id: ID!) { orderStatus(orderId: $id) { kind } }"


async def test_the_same_client_order_id_sent_a_hundred_times_concurrently_is_one_order_placed_once(
    system: System,
) -> None:
    name = f"hundred-{secrets.token_hex(4)}"

    results = await asyncio.gather(*(system.place(client_order_id=name) for _ in range(100)))

    assert {result["__typename"] for result in results} == {"PlaceOrderSuccess"}
    [order_id] = {result["order"]["id"] for result in results}
    assert [result["replayed"] for result in results].count(False) == 1
    placed = await system.becomes(order_id, "PLACED")
    accepted = [one for one in await system.journal("order") if one["order_id"] == placed["venueOrderId"]]
    assert len(accepted) == 1


async def test_the_same_client_order_id_with_other_content_is_a_conflict_with_the_first_order(system: System) -> None:
    name = f"conflict-{secrets.token_hex(4)}"
    order_id = await system.placed_id(client_order_id=name)

    result = await system.place(client_order_id=name, quantity="91")

    assert result["__typename"] == "ClientOrderIdConflict"
    assert result["existingOrder"]["id"] == order_id


async def test_two_accounts_may_choose_the_same_client_order_id(system: System) -> None:
    name = f"shared-{secrets.token_hex(4)}"

    mine = await system.placed_id(client_order_id=name, account="mine")
    theirs = await system.placed_id(client_order_id=name, account="theirs")

    assert mine != theirs


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"isin": "US0378331006"}, "isin", "BAD_FORMAT"),
        ({"isin": "DE0007164600"}, "isin", "UNKNOWN_INSTRUMENT"),
        ({"isin": "x" * 10_000}, "isin", "BAD_FORMAT"),
        ({"quantity": "NaN"}, "quantity", "BAD_FORMAT"),
        ({"quantity": "Infinity"}, "quantity", "BAD_FORMAT"),
        ({"quantity": "1e9"}, "quantity", "BAD_FORMAT"),
        ({"quantity": "1_000"}, "quantity", "BAD_FORMAT"),
        ({"quantity": "٣"}, "quantity", "BAD_FORMAT"),
        ({"quantity": 90}, "quantity", "BAD_FORMAT"),
        ({"quantity": "0"}, "quantity", "OUT_OF_RANGE"),
        ({"quantity": "-1"}, "quantity", "OUT_OF_RANGE"),
        ({"quantity": "0.5"}, "quantity", "BAD_LOT"),
        ({"limitPrice": "190"}, "limitPrice", "NOT_ALLOWED"),
        ({"type": "LIMIT"}, "limitPrice", "REQUIRED"),
        ({"type": "LIMIT", "limitPrice": "190.001"}, "limitPrice", "BAD_TICK"),
        ({"type": "LIMIT", "limitPrice": "0"}, "limitPrice", "OUT_OF_RANGE"),
        ({"clientOrderId": ""}, "clientOrderId", "BAD_FORMAT"),
        ({"clientOrderId": "a" * 10_000}, "clientOrderId", "BAD_FORMAT"),
        ({"clientOrderId": "white space"}, "clientOrderId", "BAD_FORMAT"),
    ],
)
async def test_bad_input_is_named_with_its_path_and_code_and_stores_nothing(
    system: System, changed: Json, field: str, code: str
) -> None:
    result = await system.place(account="careless", **changed)

    assert result["__typename"] == "InvalidOrder", result
    assert [(issue["path"], issue["code"]) for issue in result["issues"]] == [(["input", field], code)]
    data = await system.ask("{ orders(first: 1) { nodes { id } } }", account="careless")
    assert data["orders"]["nodes"] == []


async def test_another_accounts_order_looks_like_one_that_does_not_exist(system: System) -> None:
    theirs = await system.placed_id(account="owner", client_order_id="private")
    nowhere = "ord_" + "0" * 32
    query = """query Look($id: ID!) {
      order(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id }
      orderByClientOrderId(clientOrderId: "private") { id } orders(first: 5) { nodes { id } } }"""

    seen = await system.ask(query, {"id": theirs}, account="stranger")
    missing = await system.ask(query, {"id": nowhere}, account="stranger")

    assert seen == missing
    assert seen["order"] is None
    canceled = await system.cancel(theirs, account="stranger")
    assert canceled == await system.cancel(nowhere, account="stranger")
    assert canceled["__typename"] == "OrderNotFound"
    async with system.socket(account="stranger") as socket:
        watching = [await socket.subscribe(WATCH, {"id": order_id}) for order_id in (theirs, nowhere)]
        assert [await one.rest() for one in watching] == [[], []]
        messages = [[error["message"] for error in one.errors] for one in watching]
    assert messages[0] == messages[1]
