"""Each list of the API is a connection of Relay's: it is read from both ends, by the same rules."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from graphql import GraphQLObjectType, build_schema

from graph.schema.cursors import read_action_cursor
from graph.schema.export import schema_text
from tests.support.api_instruments import APPLE
from tests.support.api_server import Api, Json, token
from tests.support.examples import accepted, filled
from tests.support.graphql_orders import key_of, placed_id

OPERATOR = token("root", scopes=("operator", "orders:read"))
ARGUMENTS = {"first", "after", "last", "before"}
PAGE = "edges { cursor node { __typename } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
ORDER = 'orderByClientOrderId(clientOrderId: "one", accountId: "alice")'
LISTS = {
    "Query.orders": f"{{ orders(%s) {{ {PAGE} }} }}",
    "Query.instruments": f"{{ instruments(%s) {{ {PAGE} }} }}",
    "Query.accounts": f"{{ accounts(%s) {{ {PAGE} }} }}",
    "Query.tradingHalts": f"{{ tradingHalts(%s) {{ {PAGE} }} }}",
    "Query.operatorActions": f"{{ operatorActions(%s) {{ {PAGE} }} }}",
    "Order.executions": f"{{ {ORDER} {{ executions(%s) {{ {PAGE} }} }} }}",
    "Order.history": f"{{ {ORDER} {{ history(%s) {{ {PAGE} }} }} }}",
}
"""Each list by its field, read by an operator."""
HALT = 'mutation { haltTrading(input: { accountId: "alice", reason: "a test" }) { __typename } }'
RESUME = HALT.replace("halt", "resume")


def connections() -> Iterator[tuple[str, set[str]]]:
    """Each field that is a connection, with its arguments for pages."""
    for name, type_ in build_schema(schema_text()).type_map.items():
        for field_name, field in type_.fields.items() if isinstance(type_, GraphQLObjectType) else ():
            if str(field.type).rstrip("!").endswith("Connection"):
                yield f"{name}.{field_name}", set(field.args) & ARGUMENTS


def test_each_connection_takes_the_four_arguments_of_relay_and_is_tried_here() -> None:
    found = dict(connections())

    assert {name for name, arguments in found.items() if arguments != ARGUMENTS} == set()
    assert set(found) == set(LISTS)


@pytest.fixture
async def filled_api(api: Api) -> Api:
    """Provide an API with four rows or more in each list."""
    order_id = await placed_id(api, "one")
    await api.world.report(key_of(order_id), accepted(), *(filled("1", name=f"E{n}") for n in range(4)))
    for number, isin in enumerate(("US5949181045", "US0231351067", "US02079K3059", "US67066G1040")):
        api.world.catalog.instruments[isin] = replace(APPLE, isin=isin)
        await placed_id(api, "two", bearer=token(f"account-{number}"))
        await api.data(HALT, bearer=OPERATOR)
        await api.data(RESUME, bearer=OPERATOR)
    return api


async def page(api: Api, document: str, **arguments: object) -> Json:
    """One page of the list: the cursors of its rows, and its pageInfo."""
    written = ", ".join(f"{name}: {json.dumps(value)}" for name, value in arguments.items())
    (found,) = (await api.data(document % written, bearer=OPERATOR)).values()
    while "edges" not in found:
        (found,) = found.values()
    return {"rows": [edge["cursor"] for edge in found["edges"]], **found["pageInfo"]}


@pytest.mark.parametrize("name", LISTS)
async def test_pages_from_the_end_hold_the_same_rows_in_the_same_order(filled_api: Api, name: str) -> None:
    every = (await page(filled_api, LISTS[name], first=100))["rows"]

    pages: list[Json] = []
    before: dict[str, str] = {}
    while not pages or pages[0]["hasPreviousPage"]:
        pages.insert(0, await page(filled_api, LISTS[name], last=3, **before))
        before = {"before": pages[0]["startCursor"]}

    assert len(every) > 3
    assert [row for one in pages for row in one["rows"]] == every
    assert {len(one["rows"]) for one in pages[1:]} == {3}
    assert [one["hasNextPage"] for one in pages] == [True] * (len(pages) - 1) + [False]
    assert [one["endCursor"] for one in pages] == [one["rows"][-1] for one in pages]


@pytest.mark.parametrize("name", LISTS)
async def test_between_two_cursors_a_page_is_cut_at_both(filled_api: Api, name: str) -> None:
    every = (await page(filled_api, LISTS[name], first=100))["rows"]

    between = await page(filled_api, LISTS[name], last=100, after=every[0], before=every[3])
    one = await page(filled_api, LISTS[name], last=1, after=every[0], before=every[3])
    none = await page(filled_api, LISTS[name], last=0)

    assert (between["rows"], between["hasPreviousPage"], between["hasNextPage"]) == (every[1:3], True, True)
    assert one["rows"] == every[2:3]
    assert (none["rows"], none["hasPreviousPage"], none["startCursor"]) == ([], True, None)


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_from_the_end_is_bounded_like_one_from_the_start(filled_api: Api, name: str) -> None:
    for size, code in ((-1, "BAD_USER_INPUT"), (101, "PAGE_TOO_LARGE")):
        answer = await filled_api.answer(LISTS[name] % f"last: {size}", bearer=OPERATOR)
        assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    answer = await filled_api.answer(LISTS[name] % 'before: "nonsense"', bearer=OPERATOR)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_CURSOR"]


async def test_the_schemas_own_default_of_first_does_not_cut_what_last_asks_for(api: Api) -> None:
    for _ in range(26):
        await api.data(HALT, bearer=OPERATOR)
        await api.data(RESUME, bearer=OPERATOR)

    oldest = await page(api, LISTS["Query.operatorActions"], last=1)

    assert api.world.orders.actions.actions[0].sequence == read_action_cursor(oldest["rows"][0])
    assert not oldest["hasNextPage"]
