"""Queries by GET, where the settings allow them; mutations never."""

import json
from collections.abc import AsyncIterator

import pytest

from graph.settings import GraphSettings
from tests.support.api_server import Api, running_api, token
from tests.support.api_world import World
from tests.support.graphql_orders import PLACE, limit_order

VIEWER = "{ viewer { accountId } }"
ORIGIN = "https://desk.example"


@pytest.fixture(scope="module")
async def by_get() -> AsyncIterator[Api]:
    settings = GraphSettings(get_queries_allowed=True, allowed_origins=(ORIGIN,))
    async with running_api(World(settings=settings)) as api:
        yield api


async def test_a_query_is_answered_and_not_cacheable(by_get: Api) -> None:
    response = await by_get.get({"query": VIEWER})

    assert response.status == 200
    assert response.headers["cache-control"] == "no-store"
    assert await response.json() == {"data": {"viewer": {"accountId": "alice"}}}


async def test_variables_and_the_operation_are_parameters(by_get: Api) -> None:
    document = "query A($n: Int) { orders(first: $n) { nodes { id } } } query B { __typename }"

    chosen = await by_get.get({"query": document, "operationName": "A", "variables": '{"n": 101}', "extensions": ""})

    assert (await chosen.json())["errors"][0]["extensions"]["code"] == "PAGE_TOO_LARGE"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"query": ""},
        {"query": VIEWER, "variables": "{"},
        {"query": VIEWER, "variables": "[]"},
        {"query": VIEWER, "variables": "NaN"},
        {"query": VIEWER, "extensions": "5"},
        {"query": "subscription { orderUpdates { kind } }"},
    ],
)
async def test_parameters_that_are_no_request_are_a_400_with_a_graphql_error(
    by_get: Api, parameters: dict[str, str]
) -> None:
    response = await by_get.get(parameters)

    assert response.status == 400
    assert (await response.json())["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}


async def test_a_mutation_is_a_405_and_nothing_is_stored(by_get: Api) -> None:
    parameters = {"query": PLACE, "variables": json.dumps({"input": limit_order()})}

    response = await by_get.get(parameters)

    assert (response.status, response.headers["allow"]) == (405, "POST")
    assert (await response.json())["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
    assert not by_get.world.orders.rows


async def test_a_named_mutation_next_to_a_query_is_a_405(by_get: Api) -> None:
    document = "query A { __typename } mutation B { __typename }"

    assert (await by_get.get({"query": document, "operationName": "A"})).status == 200
    assert (await by_get.get({"query": document, "operationName": "B"})).status == 405


async def test_without_a_token_nothing_is_answered(by_get: Api) -> None:
    assert (await by_get.get({"query": VIEWER}, authorization="")).status == 401


async def test_other_methods_get_both_in_allow(by_get: Api) -> None:
    for method in ("PUT", "HEAD", "OPTIONS"):
        async with by_get.http.request(method, by_get.url) as response:
            assert (response.status, response.headers["allow"]) == (405, "GET, POST")


async def test_pages_of_an_allowed_origin_may_use_get_and_others_not(by_get: Api) -> None:
    asked = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    for origin, expected in ((ORIGIN, ORIGIN), ("https://evil.example", None)):
        async with by_get.http.options(by_get.url, headers={"origin": origin, **asked}) as preflight:
            assert preflight.headers.get("access-control-allow-origin") == expected
        answer = await by_get.get({"query": VIEWER}, origin=origin)
        assert answer.headers.get("access-control-allow-origin") == expected


async def test_no_answer_sets_a_cookie_or_allows_credentials(by_get: Api) -> None:
    cookie = {"cookie": f"token={token()}; Authorization=Bearer {token()}", "origin": ORIGIN}
    for response in (
        await by_get.get({"query": VIEWER}, **cookie),
        await by_get.post({"query": VIEWER}, **cookie),
        await by_get.post({"query": VIEWER}, authorization="", **cookie),
        await by_get.post(b"{", **cookie),
    ):
        assert "set-cookie" not in response.headers
        assert "access-control-allow-credentials" not in response.headers
    assert (await by_get.post({"query": VIEWER}, authorization="", **cookie)).status == 401
