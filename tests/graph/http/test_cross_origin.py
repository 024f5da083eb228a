"""Pages of other addresses: which may call over HTTP and websocket, what they may send and read, and what a refusal
says."""

from collections.abc import AsyncIterator

import pytest
import websockets

from graph.settings import GraphSettings
from tests.support.api_server import Api, running_api
from tests.support.api_world import World
from tools.devstack.processes import LOCAL_ORIGINS

ORIGIN = "https://desk.example"
VIEWER = {"query": "{ viewer { accountId } }"}
OF_TRACING = "apollographql-client-name,authorization,baggage,content-type,sentry-trace,traceparent"


@pytest.fixture(scope="module")
async def api() -> AsyncIterator[Api]:
    settings = GraphSettings(
        allowed_origins=(ORIGIN, "https://lab.example:*", "http://[::1]:*", *LOCAL_ORIGINS.split(",")),
        get_queries_allowed=True,
    )
    async with running_api(World(settings=settings)) as api:
        yield api


@pytest.fixture(scope="module")
async def closed() -> AsyncIterator[Api]:
    async with running_api(World(settings=GraphSettings())) as api:
        yield api


@pytest.fixture(scope="module")
async def strict() -> AsyncIterator[Api]:
    settings = GraphSettings(allowed_origins=(ORIGIN,), allowed_headers=("x-team", "baggage"))
    async with running_api(World(settings=settings)) as api:
        yield api


async def preflight(
    api: Api, origin: str, *, method: str = "POST", headers: str = OF_TRACING
) -> tuple[int, str, dict[str, str]]:
    """Return the status, the text and the headers of the answer to a browser's question."""
    asked = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": headers}
    async with api.http.options(api.url, headers=asked) as response:
        return response.status, await response.text(), {name.lower(): text for name, text in response.headers.items()}


async def connects(api: Api, origin: str) -> int:
    """Return the status of a websocket's handshake."""
    try:
        async with api.socket(origin=websockets.Origin(origin)):
            return 101
    except websockets.InvalidStatus as refused:
        return refused.response.status_code


ALLOWED = (
    ORIGIN,
    "https://lab.example",
    "https://lab.example:8443",
    "http://localhost",
    "http://localhost:5173",
    "http://127.0.0.1:3000",
    "http://[::1]:3000",
)
OTHERS = (
    "https://evil.example",
    "null",
    f"{ORIGIN}:8443",
    "http://desk.example",
    f"{ORIGIN}.evil.example",
    "https://localhost:5173",
    "http://localhost.evil.example",
    "http://localhost:5173.evil.example",
    "http://evil.localhost:80",
    "https://lab.example.evil.example:1",
    "http://",
    "http://localhost:*",
    "https://[",
    "http://[::1].evil.example",
    "http://[::1]evil.example:3",
    "http://evil.example@localhost:5173",
    "http://evil.example\\@localhost:5173",
    "http://localhost:5173#@evil.example",
    "http://localhost:5173/evil.example",
)


@pytest.mark.parametrize("origin", ALLOWED)
async def test_a_page_of_an_allowed_origin_may_ask_send_and_connect(api: Api, origin: str) -> None:
    status, _, headers = await preflight(api, origin)
    answer = await api.post(VIEWER, origin=origin)

    assert (status, headers["access-control-allow-origin"]) == (200, origin)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    assert "access-control-allow-credentials" not in {*headers, *answer.headers}
    assert await connects(api, origin) == 101


@pytest.mark.parametrize("origin", OTHERS)
async def test_a_page_of_any_other_origin_may_not_and_the_refusal_names_the_setting(api: Api, origin: str) -> None:
    status, text, headers = await preflight(api, origin)

    assert (status, "access-control-allow-origin" in headers) == (403, False)
    assert text == f"Pages of {origin} may not call: add the origin to ALLOWED_ORIGINS of the API."
    assert "access-control-allow-origin" not in (await api.post(VIEWER, origin=origin)).headers
    assert await connects(api, origin) == 403
    fields = api.world.telemetry.said("cross_origin_refused")
    assert [said["setting"] for said in fields[-2:]] == ["ALLOWED_ORIGINS", "ALLOWED_ORIGINS"]


async def test_where_no_origin_is_set_the_refusal_says_so_too(closed: Api) -> None:
    status, text, _ = await preflight(closed, ORIGIN)

    assert (status, "ALLOWED_ORIGINS" in text) == (403, True)
    assert "access-control-allow-origin" not in (await closed.post(VIEWER, origin=ORIGIN)).headers
    async with closed.http.options(closed.url) as response:
        assert (response.status, response.headers["allow"]) == (405, "POST")


async def test_a_websocket_that_is_refused_says_why_and_what_a_proxy_may_have_done(api: Api) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with api.socket(origin=websockets.Origin("https://desk.example:444")):
            pass

    said = refused.value.response.body.decode()
    assert said.startswith(f"Pages of https://desk.example:444 may not connect to 127.0.0.1:{api.port}: ")
    assert "ALLOWED_ORIGINS" in said
    assert "proxy_set_header Host $http_host" in said


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_any_header_may_be_sent(api: Api, method: str) -> None:
    status, _, headers = await preflight(api, ORIGIN, method=method, headers=f"{OF_TRACING},last-event-id,x-of-1999")

    assert status == 200
    assert headers["access-control-allow-headers"].split(",") == [*OF_TRACING.split(","), "last-event-id", "x-of-1999"]
    assert set(headers["access-control-allow-methods"].split(", ")) == {"GET", "POST"}


async def test_where_headers_are_listed_those_may_be_sent_and_what_every_client_needs(strict: Api) -> None:
    for headers in ("x-team", "baggage,x-team", "authorization,content-type,last-event-id"):
        assert (await preflight(strict, ORIGIN, headers=headers))[0] == 200
    status, text, _ = await preflight(strict, ORIGIN, headers="authorization,traceparent,x-b,x-team")

    assert status == 403
    assert text == "The page may not send traceparent, x-b: add it to ALLOWED_HEADERS of the API."


async def test_a_method_that_is_refused_names_its_setting_where_there_is_one(strict: Api) -> None:
    status, text, _ = await preflight(strict, ORIGIN, method="GET", headers="authorization")

    assert (status, text) == (403, "Queries by GET are switched off: GET_QUERIES_ALLOWED of the API.")
    assert (await preflight(strict, ORIGIN, method="DELETE"))[1] == "Only POST are served, for every origin."


async def test_a_page_may_read_when_to_ask_again(api: Api) -> None:
    for answer in (
        await api.post(VIEWER, origin=ORIGIN),
        await api.post(VIEWER, origin=ORIGIN, authorization="Bearer x"),
    ):
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert exposed == ["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"]


async def test_an_endless_origin_is_cut_in_the_answer_and_in_the_log(api: Api) -> None:
    origin = "https://" + "a" * 5_000 + ".example"

    _, text, _ = await preflight(api, origin)

    assert len(text) < 400
    assert len(str(api.world.telemetry.said("cross_origin_refused")[-1]["origin"])) <= 200
