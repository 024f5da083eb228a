"""Another account's order is indistinguishable from none, through every query, mutation and subscription there is.

The operations are generated from the schema, so that a field added later is tried too.
"""

from collections.abc import Iterator

import pytest
from graphql import GraphQLField, GraphQLObjectType, build_schema, get_named_type

from graph.export import schema_text
from tests.examples import filled
from tests.graph.orders import key_of, limit_order, place, placed_id
from tests.graph.server import Api, Json, token

SCHEMA = build_schema(schema_text())
BOB = token("bob")

# A field without arguments of these names does not lead to an order of somebody's choice.
ARGUMENTS: dict[str, str | list[str]] = {
    "id": "{order}",
    "ids": ["{order}", "{execution}"],
    "orderId": "{order}",
    "clientOrderId": "one",
}
READS_NOTHING_OF_ORDERS = {"viewer", "instrument", "instruments"}


def selection(field: GraphQLField) -> str:
    """A selection that shows whatever can be found."""
    named = get_named_type(field.type)
    if named.name in {"Node", "Order", "Instrument"}:
        return "{ id }"
    if named.name.endswith("Connection"):
        return "{ edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }"
    return "{ __typename }"


def operations(root: GraphQLObjectType, kind: str) -> Iterator[tuple[str, str, list[str]]]:
    """One operation for each field of the root, with the names of the arguments that it takes."""
    for name, field in root.fields.items():
        if name in READS_NOTHING_OF_ORDERS:
            continue
        taken = [argument for argument in field.args if argument in ARGUMENTS]
        variables = ", ".join(f"${argument}: {field.args[argument].type}" for argument in taken)
        arguments = ", ".join(f"{argument}: ${argument}" for argument in taken)
        head = f"{kind} X({variables}) {{ {name}({arguments})" if taken else f"{kind} {{ {name}"
        yield name, f"{head} {selection(field)} }}", taken


def root(name: str) -> GraphQLObjectType:
    type_ = SCHEMA.type_map[name]
    assert isinstance(type_, GraphQLObjectType)
    return type_


QUERIES = list(operations(root("Query"), "query"))


async def order_with_execution(api: Api) -> tuple[str, str]:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), filled("4"))
    document = "query ($id: ID!) { order(id: $id) { executions { nodes { id } } } }"
    order = (await api.data(document, {"id": order_id}))["order"]
    return order_id, order["executions"]["nodes"][0]["id"]


def variables_for(taken: list[str], *, order: str, execution: str) -> Json:
    def filled_in(value: str | list[str]) -> object:
        if isinstance(value, list):
            return [filled_in(part) for part in value]
        return value.format(order=order, execution=execution)

    return {name: filled_in(ARGUMENTS[name]) for name in taken}


@pytest.mark.parametrize(("document", "taken"), [query[1:] for query in QUERIES], ids=[query[0] for query in QUERIES])
async def test_a_query_for_a_foreign_order_answers_as_for_none(api: Api, document: str, taken: list[str]) -> None:
    none = variables_for(taken, order="ord_" + "0" * 32, execution="exe_" + "0" * 32)
    answer_for_none = await api.answer(document, none, bearer=BOB)
    order, execution = await order_with_execution(api)
    foreign = variables_for(taken, order=order, execution=execution)

    assert await api.answer(document, foreign, bearer=BOB) == answer_for_none
    assert await api.answer(document, foreign) != answer_for_none


def test_every_query_that_can_show_an_order_is_tried() -> None:
    assert {query[0] for query in QUERIES} == {"node", "nodes", "order", "orderByClientOrderId", "orders"}
    assert set(root("Subscription").fields) == {"orderStatus", "orderUpdates"}


async def test_a_foreign_execution_is_no_node(api: Api) -> None:
    _, execution = await order_with_execution(api)
    document = "query ($id: ID!) { node(id: $id) { id } }"

    assert (await api.data(document, {"id": execution}))["node"] == {"id": execution}
    assert (await api.data(document, {"id": execution}, bearer=BOB))["node"] is None


async def test_a_cursor_of_another_account_shows_nothing_of_it(api: Api) -> None:
    await placed_id(api, "first")
    mine = await place(api, limit_order("second"))
    document = "query ($after: String) { orders(after: $after, sort: CREATED_DESC) { nodes { id } } }"

    seen = await api.data(
        document, {"after": mine["orderEdge"]["cursor"]}, bearer=token("operator", scopes=["operator"])
    )
    assert len(seen["orders"]["nodes"]) == 1
    answer = await api.answer(document, {"after": None}, bearer=BOB)
    assert answer["data"]["orders"]["nodes"] == []


async def test_following_a_foreign_order_is_refused_as_following_none(api: Api) -> None:
    order_id = await placed_id(api)
    document = "subscription ($id: ID!) { orderStatus(orderId: $id) { kind } }"

    errors = []
    async with api.conversation(BOB) as socket:
        for key, node_id in enumerate([order_id, "ord_" + "0" * 32, "nonsense"]):
            await socket.subscribe(document, {"id": node_id}, key=str(key))
            message = await socket.receive()
            assert message["type"] == "error"
            errors.append([(error["message"], error["extensions"]) for error in message["payload"]])

    assert errors == [[("There is no such order.", {"code": "ORDER_NOT_FOUND"})]] * 3


async def test_the_stream_of_an_account_shows_no_change_of_another(api: Api) -> None:
    async with api.conversation(BOB) as socket:
        await socket.subscribe("subscription { orderUpdates { kind order { accountId clientOrderId } } }")
        assert (await socket.next_data())["orderUpdates"]["kind"] == "CHECKPOINT"

        await placed_id(api, "of alice".replace(" ", "-"))
        await placed_id(api, "of-bob", bearer=BOB)

        update = (await socket.next_data())["orderUpdates"]
        assert update["order"] == {"accountId": "bob", "clientOrderId": "of-bob"}


async def test_an_operator_sees_every_account(api: Api) -> None:
    order_id = await placed_id(api)
    await placed_id(api, "two", bearer=BOB)
    operator = token("desk", scopes=["operator"])
    document = """query ($id: ID!) {
        order(id: $id) { id } all: orders { nodes { accountId } }
        one: orders(filter: { accountId: "bob" }) { nodes { accountId } }
    }"""

    data = await api.data(document, {"id": order_id}, bearer=operator)

    assert data["order"] == {"id": order_id}
    assert data["all"]["nodes"] == [{"accountId": "bob"}, {"accountId": "alice"}]
    assert data["one"]["nodes"] == [{"accountId": "bob"}]
    async with api.conversation(operator) as socket:
        await socket.subscribe("subscription ($id: ID!) { orderStatus(orderId: $id) { kind } }", {"id": order_id})
        assert (await socket.next_data())["orderStatus"]["kind"] == "SNAPSHOT"
