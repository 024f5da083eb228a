"""An order that the venue has forgotten is resolved by an operator: at the command line, and over GraphQL."""

import json
import secrets

import pytest

from tests.support.processes import running
from tests.support.system import Json, System

RESOLVE = """
mutation Resolve($input: ResolveOrderInput!) {
  resolveOrder(input: $input) {
    __typename
    ... on ResolveOrderSuccess { order { id status version filledQuantity reason { source code } venueOrders {
      venueOrderId venueClientOrderId filledQuantity } } }
    ... on InvalidInput { issues { path code message } }
    ... on UserError { code message path } } }"""
ANSWER = "query Ask($id: ID!) { venueAnswer(orderId: $id) { askedAt outcome order error } }"
FOLLOW = """
subscription Follow($id: ID!) {
  orderStatus(orderId: $id) { kind order { version status filledQuantity } change { kind execution { quantity } } } }"""
EXECUTIONS = "query All($id: ID!) { order(id: $id) { executions { nodes { id quantity price } } } }"


async def forgotten(system: System, *, filled: str | None = None) -> tuple[str, Json]:
    """Place an order, fill some of it, and make the venue forget it; return its id, and the venue's order before
    that.
    """
    order_id = await system.placed_id(wait_ms=5000)
    order = await system.becomes(order_id, "PLACED")
    name = order["venueOrderId"]
    if filled is not None:
        await system.control("POST", "fills", {"order_id": name, "qty": filled, "price": "150"})
        await system.becomes(order_id, "PARTIALLY_FILLED")
    await system.control("DELETE", f"orders/{name}")
    return order_id, order


async def command(system: System, *arguments: str) -> tuple[int, str]:
    """Run `python -m runtime orders …` as an operator; its exit code, and what it printed."""
    words = ["-m", "runtime", "orders", *arguments]
    async with running(words, environment=system.environment_of("orders")) as ran:
        return await ran.ends(within_seconds=30), "\n".join(ran.output)


async def resolve(
    system: System,
    order_id: str,
    *,
    request: str = "",
    scopes: str = "operator:resolve operator:read",
    **action: object,
) -> Json:
    """Resolve the order as an operator; the mutation's result."""
    asked = {
        "orderId": order_id,
        "reason": "the broker's statement",
        "clientRequestId": request or secrets.token_hex(8),
        "action": action,
    }
    data = await system.ask(RESOLVE, {"input": asked}, account="olga", scopes=scopes)
    result: Json = data["resolveOrder"]
    return result


async def test_an_operator_ends_a_forgotten_order_at_the_command_line(system: System) -> None:
    order_id, _ = await forgotten(system)
    async with system.socket() as socket:
        updates = await socket.subscribe(FOLLOW, {"id": order_id})
        snapshot = (await updates.next())["orderStatus"]

        shown = await command(system, "show", order_id)
        code, printed = await command(
            system, "end", order_id, "CANCELED", "--reason", "statement of the day", "--request-id", "end-1", "--json"
        )
        assert (shown[0], code) == (0, 0), (shown, printed)
        update = (await updates.next())["orderStatus"]

    assert "NOT_FOUND" in shown[1]
    assert "status PLACED" in shown[1]
    ended = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
    assert (ended["status"], ended["version"]) == ("CANCELED", snapshot["order"]["version"] + 1)
    assert update["change"]["kind"] == "RESOLVED"
    assert (update["order"]["status"], update["order"]["version"]) == ("CANCELED", ended["version"])
    order = await system.order(order_id)
    assert (order["version"], order["reason"]["source"]) == (ended["version"], "OPERATOR")
    shown_after = json.loads((await command(system, "show", order_id, "--json"))[1].partition("{")[2].join(["{", ""]))
    assert [one["action"] for one in shown_after["operator_actions"]] == ["ORDER_ENDED"]
    assert shown_after["operator_actions"][0]["reason"] == "statement of the day"


async def test_an_operator_books_what_the_venue_does_not_list_and_takes_it_back(system: System) -> None:
    order_id, placed = await forgotten(system, filled="33")
    booked = {"quantity": "57", "price": "151", "executedAt": "2026-11-20T12:00:00Z"}

    first = await resolve(system, order_id, request="book-1", book=booked)
    repeated = await resolve(system, order_id, request="book-1", book=booked)
    other = await resolve(system, order_id, request="book-1", book={**booked, "quantity": "58"})
    answer = (await system.ask(ANSWER, {"id": order_id}, account="olga", scopes="operator:resolve"))["venueAnswer"]

    assert first["__typename"] == "ResolveOrderSuccess", first
    order = first["order"]
    assert (order["status"], order["filledQuantity"]) == ("FILLED", "90")
    assert order["venueOrders"][0]["venueOrderId"] == placed["venueOrderId"]
    assert repeated == first
    assert other["code"] == "CLIENT_REQUEST_ID_CONFLICT"
    assert (answer["outcome"], answer["order"]) == ("NOT_FOUND", None)
    executions = (await system.ask(EXECUTIONS, {"id": order_id}))["order"]["executions"]["nodes"]
    (wrong,) = [one["id"] for one in executions if one["quantity"] == "57"]
    busted = await resolve(system, order_id, bustExecutionId=wrong)
    assert (busted["order"]["status"], busted["order"]["filledQuantity"]) == ("PARTIALLY_FILLED", "33")
    assert busted["order"]["version"] == order["version"] + 1


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"end": "CANCELED"}, "shows the order open"),
        ({"end": "FILLED"}, "0 of 90 are recorded"),
        ({"adoptVenueOrderId": "no-such-order"}, "has no order"),
        ({"bustExecutionId": "exe_" + "0" * 32}, "no such execution"),
        ({"book": {"quantity": "91", "price": "1", "executedAt": "2026-11-20T12:00:00Z"}}, "91 of 90"),
    ],
)
async def test_what_the_venue_contradicts_is_refused_by_a_sentence(system: System, action: Json, words: str) -> None:
    order_id = await system.placed_id(wait_ms=5000)
    order = await system.becomes(order_id, "PLACED")

    result = await resolve(system, order_id, **action)

    assert result["__typename"] == "InvalidInput"
    assert words in result["issues"][0]["message"]
    assert (await system.order(order_id))["version"] == order["version"]


async def test_a_reread_records_what_the_venue_shows_and_an_order_of_its_own_is_adopted_only_once(
    system: System,
) -> None:
    order_id = await system.placed_id(wait_ms=5000)
    order = await system.becomes(order_id, "PLACED")

    reread = await resolve(system, order_id, reread=True)
    adopted = await resolve(system, order_id, adoptVenueOrderId=order["venueOrderId"])

    assert (reread["order"]["status"], reread["order"]["version"]) == ("PLACED", order["version"])
    assert "recorded already" in adopted["issues"][0]["message"]
