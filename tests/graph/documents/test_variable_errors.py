"""Variables that do not fit: each fault has a path into the variables and a sentence in the words of JSON."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNonNull,
    get_operation_ast,
    is_input_object_type,
    parse,
)
from graphql.execution.values import get_variable_values

from graph.documents.variable_errors import ERRORS_MAX, SHOWN_MAX_CHARACTERS, variable_errors
from graph.schema.build import build_schema
from graph.settings import GraphSettings
from tests.graph.engine.requests import CORE, MISFITS
from tests.support.api_server import Api, Json
from tests.support.graphql_orders import PLACE, limit_order

PYTHON = re.compile(r"\b(None|True|False|Undefined)\b|found: |[{}]|'")
ORDERS = "query ($filter: OrderFilter, $first: Int) { orders(filter: $filter, first: $first) { nodes { id } } }"
FOLLOW = "subscription ($id: ID!, $after: Int) { orderStatus(orderId: $id, afterVersion: $after) { kind } }"


@pytest.mark.parametrize(
    ("document", "variables", "path", "message"),
    [
        (PLACE, {"input": limit_order(side="HOLD")}, ["input", "side"], 'type OrderSide, found "HOLD"'),
        (PLACE, {"input": limit_order(side=None)}, ["input", "side"], "type OrderSide! is required"),
        (PLACE, {"input": {**limit_order(), "side": None}}, ["input", "side"], "type OrderSide!, found null"),
        (PLACE, {"input": limit_order(clientOrderId={"a": None})}, ["input", "clientOrderId"], "found an object"),
        (PLACE, {"input": limit_order(leverage="2")}, ["input", "leverage"], "PlaceOrderInput has no such field"),
        (PLACE, {"input": [True]}, ["input"], "an object of the type PlaceOrderInput, found an array"),
        (PLACE, {"input": None}, ["input"], "type PlaceOrderInput!, found null"),
        (PLACE, {}, ["input"], "type PlaceOrderInput! is required"),
        (PLACE, {"input": limit_order(), "waitMs": True}, ["waitMs"], "type Int, found true"),
        (ORDERS, {"first": 3_000_000_000}, ["first"], "type Int, found 3000000000"),
        (ORDERS, {"filter": {"statuses": ["PLACED", "ODD"]}}, ["filter", "statuses", 1], 'OrderStatus, found "ODD"'),
        (ORDERS, {"filter": {"createdFrom": "now"}}, ["filter", "createdFrom"], "Expected an RFC 3339 instant"),
        (FOLLOW, {"id": {}}, ["id"], "type ID, found an object"),
    ],
)
async def test_an_error_of_a_variable_has_its_path_and_no_text_of_python(
    api: Api, document: str, variables: Json, path: Sequence[str | int], message: str
) -> None:
    if document is FOLLOW:
        async with api.conversation() as socket:
            await socket.subscribe(document, variables)
            (error,) = _errors(await socket.receive())
    else:
        error = await api.error(document, variables)

    assert error["path"] == path
    assert message in error["message"]
    assert error["message"].startswith("$" + ".".join(map(str, path)))
    assert not PYTHON.search(error["message"])
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_all_faults_are_named_at_once(api: Api) -> None:
    variables = {"input": limit_order(side="HOLD", quantity=None, leverage="2"), "waitMs": "long"}

    errors = (await api.answer(PLACE, variables))["errors"]

    assert [error["path"] for error in errors] == [
        ["input", "side"],
        ["input", "quantity"],
        ["input", "leverage"],
        ["waitMs"],
    ]


async def test_a_variable_that_is_null_where_a_value_is_needed_is_said_in_words_of_json(api: Api) -> None:
    document = 'query ($isin: ISIN = "US0378331005") { instrument(isin: $isin) { symbol } }'
    literal = "{ order(id: null) { id } }"

    at_a_field = await api.error(document, {"isin": None})
    in_the_document = await api.error(literal)

    assert "not to be null" in at_a_field["message"]
    assert "not to be null" in in_the_document["message"]


def test_what_graphql_core_refuses_has_a_fault_and_nothing_else_has() -> None:
    """Every type of an argument, with every careless value at every place of it."""
    for type_ in {str(type_): type_ for type_ in _argument_types()}.values():
        document = parse(f"query ($given: {type_}) {{ __typename }}")
        for value in _values(type_):
            variables = {} if value is MISFITS else {"given": value}
            operation = get_operation_ast(document)
            assert operation is not None
            known = get_variable_values(CORE, operation.variable_definitions or (), variables)
            found = variable_errors(CORE, document, None, variables, shows_suggestions=False)

            assert bool(found) == isinstance(known, list), (str(type_), value)
            assert not any(PYTHON.search(error.message) for error in found), found


def test_faults_and_what_is_shown_of_a_value_are_bounded() -> None:
    document = parse(ORDERS)
    statuses = ["x" * 10_000] * 1_000

    found = variable_errors(CORE, document, None, {"filter": {"statuses": statuses}}, shows_suggestions=False)

    assert len(found) == ERRORS_MAX
    assert max(len(error.message) for error in found) < 200


def test_long_names_are_cut_in_the_path_too() -> None:
    name = "v" * 7_000
    unknown = {f"{'x' * 2_000}{number}": 1 for number in range(50)}

    of_variable = variable_errors(
        CORE, parse(f"query (${name}: [ID!]!) {{ __typename }}"), None, {name: [None] * 50}, shows_suggestions=False
    )
    of_fields = variable_errors(CORE, parse(ORDERS), None, {"filter": unknown}, shows_suggestions=False)

    for found in (of_variable, of_fields):
        assert len(found) == ERRORS_MAX
        assert max(len(str(error.formatted)) for error in found) < 500
    assert of_variable[7].formatted["path"] == [f"{name[:SHOWN_MAX_CHARACTERS]}…", 7]


def test_unknown_fields_are_named_in_the_order_in_which_they_were_sent() -> None:
    sent = [f"field{number}" for number in range(40)]

    found = variable_errors(CORE, parse(ORDERS), None, {"filter": dict.fromkeys(sent, 1)}, shows_suggestions=False)

    assert [error.input_path for error in found] == [("filter", name) for name in sent]


@pytest.mark.parametrize("is_development", [True, False])
def test_names_of_the_schema_are_suggested_in_development_alone(*, is_development: bool) -> None:
    core = build_schema(GraphSettings())._schema  # noqa: SLF001 - Strawberry offers no other way
    variables = {"input": limit_order(side="BUYS", limitPrize="5")}

    found = variable_errors(core, parse(PLACE), None, variables, shows_suggestions=is_development)

    text = " ".join(error.message for error in found)
    assert ("Did you mean" in text) is is_development
    assert ("limitPrice" in text) is is_development


def _errors(message: Json) -> Sequence[Json]:
    payload = message["payload"]
    errors: Sequence[Json] = payload if isinstance(payload, list) else payload["errors"]
    return errors


def _argument_types() -> Iterator[Any]:
    for root in (CORE.query_type, CORE.mutation_type, CORE.subscription_type):
        assert root is not None
        fields: Sequence[GraphQLField] = list(root.fields.values())
        for field in fields:
            yield from (argument.type for argument in field.args.values())


def _values(type_: Any) -> Iterator[Any]:  # noqa: ANN401 - any input type
    yield MISFITS  # Stands for no value at all.
    yield from MISFITS
    bare = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if is_input_object_type(bare):
        yield from _inputs(bare)


def _inputs(type_: GraphQLInputObjectType) -> Iterator[dict[str, Any]]:
    """Return an input of nothing but nulls, and with each careless value in each field."""
    for name in type_.fields:
        yield from ({name: value} for value in MISFITS)
    if "side" in type_.fields:
        yield from (limit_order() | {name: value} for name in type_.fields for value in MISFITS)
