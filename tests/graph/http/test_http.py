"""GraphQL over HTTP: negotiation, statuses, and JSON for every mistake."""

import asyncio
from datetime import timedelta

import pytest

from graph.http.responses import negotiate
from graph.settings import GraphSettings
from tests.support.api_server import Api, running_api, token
from tests.support.api_world import World
from tests.support.graphql_orders import placed_id

CANCEL = "mutation ($id: ID!) { cancelOrder(input: {orderId: $id}) { __typename } }"
NEWER = "application/graphql-response+json"
OLDER = "application/json"
VIEWER = {"query": "{ viewer { accountId } }"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, OLDER),
        ("*/*", OLDER),
        ("text/html, application/*;q=0.1", OLDER),
        (f"{OLDER};q=0, */*", NEWER),
        (f"*/*, {NEWER};q=0.1", OLDER),
        (OLDER, OLDER),
        (NEWER, NEWER),
        (f"{NEWER}; charset=utf-8", NEWER),
        (f"{NEWER}, {OLDER}", NEWER),
        (f"{OLDER}, {NEWER};q=0.5", OLDER),
        (f"{NEWER}, {OLDER};q=0.9, text/event-stream", NEWER),
        (f"{NEWER};q=0, {OLDER}", OLDER),
        (f"{NEWER};q=x, {OLDER}", OLDER),
        (f"{NEWER};q=nan, {OLDER};q=0.001", OLDER),
    ],
)
def test_the_media_type_is_the_one_that_the_client_prefers(accept: str | None, expected: str) -> None:
    assert negotiate(accept) == expected


@pytest.mark.parametrize("accept", [OLDER, NEWER])
async def test_an_answer_has_the_negotiated_type_and_is_not_cacheable(api: Api, accept: str) -> None:
    response = await api.post(VIEWER, accept=accept)

    assert response.status == 200
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert await response.json(content_type=None) == {"data": {"viewer": {"accountId": "alice"}}}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: ID!) { order(id: $id) { id } }", "BAD_USER_INPUT"),
        ("query A { __typename } query B { __typename }", "OPERATION_RESOLUTION_FAILURE"),
        ("fragment A on Query { __typename }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_a_request_that_never_ran_is_a_400_only_in_the_newer_type(api: Api, document: str, code: str) -> None:
    newer = await api.post({"query": document}, accept=NEWER)
    older = await api.post({"query": document}, accept=OLDER)

    assert (newer.status, older.status) == (400, 200)
    body = await newer.json(content_type=None)
    assert set(body) == {"errors"}
    assert body["errors"][0]["extensions"]["code"] == code
    assert await older.json() == body


async def _hang() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("accept", [OLDER, NEWER])
async def test_an_operation_that_ran_and_failed_as_a_whole_has_data_that_is_null(accept: str) -> None:
    async with running_api(World(settings=GraphSettings(operation_timeout_seconds=0.5))) as api:
        order_id = await placed_id(api)
        api.world.orders.interruptions.append(_hang)
        timed_out = await api.post({"query": CANCEL, "variables": {"id": order_id}}, accept=accept)
        api.world.orders.failure = RuntimeError("nobody foresaw it")
        failed = await api.post({"query": "{ orders { nodes { id } } }"}, accept=accept)

    for response, code in ((timed_out, "TIMED_OUT"), (failed, "INTERNAL")):
        body = await response.json(content_type=None)
        assert (response.status, body["data"]) == (200, None)
        assert body["errors"][0]["extensions"]["code"] == code


async def test_of_several_operations_the_named_one_is_run(api: Api) -> None:
    document = "query A { viewer { accountId } } mutation B { __typename }"

    chosen = await api.post({"query": document, "operationName": "B"})
    unknown = await api.post({"query": document, "operationName": "C"}, accept=NEWER)
    broken = await api.post({"query": "query A {", "operationName": "A"}, accept=NEWER)

    assert await chosen.json() == {"data": {"__typename": "Mutation"}}
    assert unknown.status == broken.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"3",
        b"null",
        b'"x"',
        b"[]",
        b'[{"query": "{ __typename }"}]',
        b"{}",
        b'{"query": null}',
        b'{"query": 5}',
        b'{"query": ""}',
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "variables": "x"}',
        b'{"query": "{ __typename }", "operationName": 5}',
        b'{"query": "{ __typename }", "extensions": 5}',
        b'{"query": "subscription { orderUpdates { kind } }"}',
        b'{"query": "{ __typename }", "variables": {"x": NaN}}',
        b'{"query": "{ __typename }", "variables": {"x": "\\ud800"}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 10_000,
        b'{"query": "{ __typename }", "variables": {"x": ' + b"1" * 5_000 + b"}}",
    ],
)
async def test_a_body_that_is_no_request_is_a_400_with_a_graphql_error(api: Api, body: bytes) -> None:
    response = await api.post(body)

    assert response.status == 400
    (error,) = (await response.json())["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert not api.world.telemetry.said("unexpected_error")


async def test_a_body_that_is_too_large_is_a_413(api: Api) -> None:
    response = await api.post(b" " * (api.world.settings.body_max_bytes + 1))

    assert response.status == 413
    assert (await response.json())["errors"][0]["extensions"]["code"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_another_content_type_is_a_415(api: Api, content_type: str) -> None:
    response = await api.post(VIEWER, content_type=content_type or "application/octet-stream")

    assert response.status == 415
    assert (await response.json())["errors"][0]["extensions"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8"])
async def test_a_content_type_with_the_charset_of_json_is_taken(api: Api, charset: str) -> None:
    assert (await api.post(VIEWER, content_type=f"application/json; charset={charset}")).status == 200


@pytest.mark.parametrize(
    "headers", [{"content_type": "application/json; charset=utf-16"}, {"content_encoding": "gzip"}]
)
async def test_a_body_in_another_coding_is_a_415(api: Api, headers: dict[str, str]) -> None:
    assert (await api.post(VIEWER, **headers)).status == 415


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "text/event-stream, multipart/mixed", "json"])
async def test_an_answer_that_the_client_cannot_read_is_a_406_with_the_alternatives(api: Api, accept: str) -> None:
    response = await api.post(VIEWER, accept=accept)

    assert response.status == 406
    (error,) = (await response.json())["errors"]
    assert error["extensions"] == {"code": "NOT_ACCEPTABLE"}
    assert NEWER in error["message"]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer nonsense", "Basic YTpi"])
async def test_without_a_valid_token_the_answer_is_401_with_a_graphql_error(api: Api, authorization: str) -> None:
    response = await api.post(VIEWER, authorization=authorization)

    assert response.status == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="fillwire"'
    (error,) = (await response.json())["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert error["message"]


async def test_of_an_expired_token_the_answer_says_so_as_rfc_6750_has_it(api: Api) -> None:
    expired = token(ttl=timedelta(seconds=-60))

    response = await api.post(VIEWER, authorization=f"Bearer {expired}")

    assert response.status == 401
    assert response.headers["www-authenticate"].startswith('Bearer realm="fillwire", error="invalid_token", ')
    (error,) = (await response.json())["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "expired" in error["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_post_runs_operations(api: Api, method: str) -> None:
    headers = {"authorization": f"Bearer {token()}", "accept": "text/html"}
    async with api.http.request(method, api.url, params={"query": "{ __typename }"}, headers=headers) as response:
        assert response.status == 405
        assert response.headers["allow"] == "POST"
        assert (await response.json())["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


async def test_head_is_refused_with_the_methods_that_there_are(api: Api) -> None:
    async with api.http.head(api.url) as response:
        assert (response.status, response.headers["allow"]) == (405, "POST")
