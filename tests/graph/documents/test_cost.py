"""The cost of a document: the number of objects that its answer could contain, never fewer than it does contain."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from graphql import GraphQLList, GraphQLObjectType, get_named_type, get_nullable_type, is_composite_type, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.auth.bearer import Bearer, Scope
from graph.context import context_for
from graph.documents.cost import UNPAGED_LIST_MAX_ROWS, cost_operations
from graph.schema.build import build_schema
from graph.settings import GraphSettings
from tests.graph.selections import selections
from tests.support.api_server import Api, running_api
from tests.support.api_world import World
from tests.support.examples import accepted, filled
from tests.support.graphql_orders import key_of, limit_order, place, placed_id

SETTINGS = GraphSettings(
    max_aliases=1_000, max_nesting=1_000, max_tokens=10_000, max_document_characters=100_000, max_cost_objects=10**12
)
SCHEMA = build_schema(SETTINGS)
CORE = SCHEMA._schema  # noqa: SLF001 - Strawberry offers no other way to graphql-core's schema

PAGES = "query ($n: Int, $m: Int = 3) { orders(first: $n) { nodes { id executions(first: $m) { nodes { id } } } } }"

ROWS = " fragment o on OrderConnection { nodes { id } }"


def objects(document: str, variables: Mapping[str, object] | None = None, operation: str | None = None) -> int:
    return cost_operations(parse(document), CORE, SETTINGS)[operation].objects_with(variables)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{ __typename }", 1),
        ("{ viewer { accountId scopes } }", 2),
        ("{ orders { pageInfo { hasNextPage } } }", 3),
        ("{ orders { nodes { id } } }", 2 + 50),
        ("{ orders(first: 7) { nodes { id } } }", 2 + 7),
        ("{ orders(last: 7) { edges { node { id } } } }", 2 + 7 * 2),
        ("{ orders(first: 7, last: 3) { nodes { id } } }", 2 + 3),
        ("{ instruments(last: 80) { nodes { isin } } }", 2 + 80),
        ("{ tradingHalts(last: 80) { nodes { id } } }", 2 + 80),
        ("{ orders(first: 4) { nodes { executions(last: 5) { nodes { id } } } } }", 2 + 4 * (11 + 5)),
        ("{ orders(first: 4) { nodes { history(last: 5) { nodes { at } } } } }", 2 + 4 * (11 + 5)),
        ("{ orders(first: null) { nodes { id } } }", 2 + 50),
        ("{ orders(first: 0) { nodes { id } } }", 2),
        ("{ orders(first: -5) { nodes { id } } }", 2),
        ("{ orders(first: 100000) { nodes { id } } }", 2 + 100),
        ("{ orders(first: 4) { nodes { id instrument { id } } edges { cursor } } }", 2 + 4 * 2 + 4),
        ("{ orders(first: 4) { nodes { executions { nodes { id } } } } }", 2 + 4 * (11 + 50)),
        ("{ orders(first: 4) { nodes { executions(first: 5) { nodes { id } } } } }", 2 + 4 * (11 + 5)),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', 1 + 3),
        ('{ nodes(ids: ["a", "b"]) { ... on Account { openOrders lastOrderAt } } }', 1 + 2 * 3),
        ("{ viewer { accounts { id } } }", 2 + 100),
        ("{ viewer { openOrders a: openOrders limits { setAt } } }", 2 + 3),
        ("{ viewer { auditHead a: auditHead b: auditHead } }", 2 + 3),
        ("{ accounts(first: 3) { nodes { tradingHalted lastOrderAt openOrders accountId } } }", 2 + 3 * 4),
        ("{ accounts { nodes { id } } }", 2 + 50),
        ("{ accounts(last: 80) { nodes { id } } }", 2 + 80),
        ("{ accounts(first: 50, last: 80) { nodes { id } } }", 2 + 80),
        ("{ accounts(first: 9, last: 80) { nodes { id } } }", 2 + 9),
        ("{ accounts(first: null) { nodes { id } } }", 2 + 50),
        (
            "{ a: orders(first: 2) { ...o } b: orders(first: 3) { ...o } }" + ROWS,
            8,
        ),
        ("{ ... on Query { ...q } } fragment q on Query { orders(first: 2) { nodes { id } } }", 2 + 2),
        ("{ orders(first: 9) @include(if: false) { nodes { id } } }", 2 + 9),
        ("subscription { orderUpdates { order { id history(first: 6) { nodes { at } } } } }", 13 + 6),
    ],
)
def test_pages_count_as_often_as_they_are_long_and_multiply_inside_one_another(document: str, expected: int) -> None:
    assert objects(document) == expected


def test_pages_of_each_row_are_dear_even_when_they_are_empty_for_each_is_read_by_itself() -> None:
    pages = " ".join(f"a{number}: executions(first: 0) {{ __typename }}" for number in range(30))

    assert objects(f"{{ orders(first: 100) {{ nodes {{ {pages} }} }} }}") > GraphSettings().max_cost_objects


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (None, 2 + 50 * (11 + 3)),
        ({"n": 10}, 2 + 10 * (11 + 3)),
        ({"n": 10, "m": 4}, 2 + 10 * (11 + 4)),
        ({"n": None, "m": None}, 2 + 50 * (11 + 50)),
        ({"n": 1e9}, 2 + 100 * (11 + 3)),
        ({"n": "ten"}, 2),
        ({"n": 1.5}, 2),
    ],
)
def test_the_formula_takes_sizes_from_the_variables(variables: Mapping[str, object] | None, expected: int) -> None:
    assert objects(PAGES, variables) == expected


@pytest.mark.parametrize(("ids", "expected"), [(["a", "b"], 3), ([], 1), ("a", 2), (None, 1)])
def test_a_list_of_ids_counts_as_it_is_long(ids: object, expected: int) -> None:
    assert objects("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids}) == expected


def test_each_operation_has_its_own_cost_and_its_own_defaults() -> None:
    document = """
    query A($n: Int = 2) { ...page } query B($n: Int = 30) { ...page }
    fragment page on Query { orders(first: $n) { nodes { id } } }
    """

    assert (objects(document, operation="A"), objects(document, operation="B")) == (4, 32)


def test_a_chain_of_fragments_is_worked_out_by_its_length_not_its_expansion() -> None:
    links = [f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(40)]
    document = (
        "query ($n: Int) { ...f0 } " + " ".join(links) + "fragment f40 on Query { orders(first: $n) { nodes { id } } }"
    )

    assert objects(document, {"n": 5}) == 1 + 2**40 * 6


def test_every_list_of_objects_is_a_page_or_follows_a_list_of_ids_or_is_one_of_few_issues() -> None:
    unpaged = {
        f"{named.name}.{name}"
        for named in CORE.type_map.values()
        if isinstance(named, GraphQLObjectType) and not named.name.startswith("__") and "pageInfo" not in named.fields
        for name, one in named.fields.items()
        if isinstance(get_nullable_type(one.type), GraphQLList) and is_composite_type(get_named_type(one.type))
    }

    # A list that is added here must stay short permanently (UNPAGED_LIST_MAX_ROWS, LONGER_LISTS); others need pages.
    assert unpaged == {
        "Query.nodes",
        "InvalidInput.issues",
        "InvalidOrder.issues",
        "InvalidLimits.issues",
        "Viewer.accounts",
        "Order.venueOrders",
    }


async def test_an_answer_that_could_be_too_large_is_refused_before_anything_is_read() -> None:
    async with running_api(World(settings=GraphSettings(max_cost_objects=182))) as api:
        await api.data(PAGES, {"n": 10, "m": 7})
        error = await api.error(PAGES, {"n": 10, "m": 8})
        by_socket = await refused_over_the_socket(api)

    assert error["message"] == "The answer could hold 192 objects; 182 are allowed. Ask for shorter pages."
    assert error["extensions"] == {"code": "DOCUMENT_TOO_COSTLY", "limit": 182}
    assert by_socket["extensions"] == error["extensions"]


async def test_an_order_with_everything_wrong_has_fewer_issues_than_were_counted(api: Api) -> None:
    order = limit_order(" ", isin="x", quantity="-1.5e3", limitPrice="x", side="SELL", type="MARKET", timeInForce="FOK")

    issues = (await place(api, order, wait_ms=-1))["issues"]

    assert 4 < len(issues) < UNPAGED_LIST_MAX_ROWS


async def refused_over_the_socket(api: Api) -> dict[str, Any]:
    async with api.conversation() as socket:
        pages = "a: history(first: 100) { nodes { at } } b: history(first: 100) { nodes { at } }"
        await socket.subscribe(f"subscription {{ orderUpdates {{ order {{ {pages} }} }} }}")
        message = await socket.receive()
    assert message["type"] == "error"
    error: dict[str, Any] = message["payload"][0]
    return error


def objects_in(answer: object) -> int:
    if isinstance(answer, dict):
        return 1 + sum(map(objects_in, answer.values()))
    return sum(map(objects_in, answer)) if isinstance(answer, list) else 0


def ids_in(world: World) -> list[str]:
    return [f"ord_{order_id.hex}" for order_id in world.orders.rows]


@pytest.fixture(scope="module")
async def world() -> World:
    """Five orders of one account with four executions each, so that pages of a few rows are full."""
    async with running_api(World(settings=SETTINGS, has_worker=True)) as api:
        for number in range(5):
            order_id = key_of(await placed_id(api, f"order-{number}"))
            trades = [filled("1", name=f"E{number}-{trade}") for trade in range(4)]
            await api.world.report(order_id, accepted(), *trades)
    return api.world


@settings(max_examples=200)
@given(data=st.data())
async def test_no_answer_has_more_objects_than_its_documents_cost(world: World, data: st.DataObject) -> None:
    document, variables = data.draw(selections(CORE, ids_in(world)))
    bearer = Bearer(
        subject="alice",
        account_ids=("alice",),
        scopes=frozenset(Scope),
        token_expires_at=datetime.now(UTC) + timedelta(hours=1),
        issued_at=datetime.now(UTC),
    )

    result = await SCHEMA.execute(document, variables, context_for(bearer, world.services()))

    assert result.errors is None
    assert objects_in(result.data) <= objects(document, variables)
