"""X-Request-Id: what a client calls its request, in the answer and wherever the request is spoken of."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

import orjson
import pytest

from domain.model.errors import UnavailableError
from domain.ports.telemetry import REQUEST_ID
from tests.support.api_instruments import APPLE
from tests.support.api_server import Api, running_api, token
from tests.support.api_world import World
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.graphql_orders import placed_id

VIEWER = {"query": "{ viewer { accountId } }"}
ORDERS = {"query": "{ orders { nodes { id } } }"}
BROKEN = {"query": "{ orders { nodes { instrument { id } } } }"}


@pytest.mark.parametrize("name", ["a", "Z-9._x", "7f3c" * 16])
async def test_the_callers_id_comes_back(api: Api, name: str) -> None:
    assert (await api.post(VIEWER, x_request_id=name)).headers["x-request-id"] == name


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "ä", "a,b", "<script>", "a\tb", "%0d%0a"])
async def test_an_id_that_is_none_is_replaced_by_a_fresh_uuid_of_version_7(api: Api, name: str) -> None:
    answers = [await api.post(VIEWER, x_request_id=name) for _ in range(2)]

    fresh = {answer.headers["x-request-id"] for answer in answers}
    assert len(fresh) == 2
    assert {UUID(text).version for text in fresh} == {7}


@pytest.mark.parametrize(
    ("status", "method", "headers"),
    [
        (401, "POST", {"authorization": "Bearer nonsense"}),
        (405, "PUT", {}),
        (406, "POST", {"accept": "text/plain"}),
        (415, "POST", {"content-type": "text/plain"}),
    ],
)
async def test_refusals_have_it_too(api: Api, status: int, method: str, headers: dict[str, str]) -> None:
    sent = {"authorization": f"Bearer {token()}", "content-type": "application/json", "x-request-id": "mine", **headers}
    async with api.http.request(method, api.url, data=b"{}", headers=sent) as response:
        assert (response.status, response.headers["x-request-id"]) == (status, "mine")


async def test_an_unforeseen_error_names_the_request_in_its_extensions(api: Api) -> None:
    await placed_id(api)
    del api.world.catalog.instruments[APPLE.isin]

    named = await (await api.post(BROKEN, x_request_id="mine")).json()
    unnamed = await api.post(BROKEN)

    assert named["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert named["errors"][0]["extensions"]["requestId"] == "mine"
    fresh = (await unnamed.json())["errors"][0]["extensions"]["requestId"]
    assert fresh == unnamed.headers["x-request-id"]


async def test_an_error_that_is_foreseen_does_not(api: Api) -> None:
    api.world.orders.failure = UnavailableError()

    answer = await (await api.post(BROKEN, x_request_id="mine")).json()

    assert answer["errors"][0]["extensions"] == {"code": "UNAVAILABLE", "retryAfterMs": 1000}


@dataclass(slots=True)
class NamingTelemetry(RecordingTelemetry):
    """Remembers for which request each event was logged."""

    requests: list[str | None] = field(default_factory=list)

    def error(self, event: str, **fields: object) -> None:
        RecordingTelemetry.info(self, event, **fields)
        self.requests.append(REQUEST_ID.get())

    def warning(self, event: str, **fields: object) -> None:
        RecordingTelemetry.warning(self, event, **fields)
        self.requests.append(REQUEST_ID.get())


async def test_what_is_logged_while_a_request_is_answered_is_logged_under_its_id_and_nothing_else_is() -> None:
    telemetry = NamingTelemetry()
    world = World(telemetry=telemetry)
    async with running_api(world) as api:
        world.orders.failure = RuntimeError("nobody foresaw it")
        await asyncio.gather(*(api.post(ORDERS, x_request_id=f"request-{number}") for number in range(5)))
        async with api.conversation() as socket:
            await socket.subscribe(ORDERS["query"])
            assert (await socket.receive())["payload"]["errors"][0]["extensions"].keys() == {"code", "errorId"}

    assert sorted(map(str, telemetry.requests)) == ["None", *(f"request-{number}" for number in range(5))]


async def test_a_request_on_the_same_connection_has_nothing_of_the_one_before() -> None:
    """Of pipelined requests each is begun while the one before it ends. A preflight has no id."""
    body = orjson.dumps(VIEWER)
    named = (
        f"POST /graphql HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token()}\r\nX-Request-Id: mine\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    preflight = (
        b"OPTIONS /graphql HTTP/1.1\r\nHost: api\r\nOrigin: https://evil.example\r\n"
        b"Access-Control-Request-Method: POST\r\nConnection: close\r\n\r\n"
    )
    telemetry = NamingTelemetry()
    async with running_api(World(telemetry=telemetry)) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(named + preflight)
        answers = await reader.read()
        writer.close()

    assert (answers.count(b"HTTP/1.1 200"), answers.count(b"HTTP/1.1 403")) == (1, 1)
    assert telemetry.requests == [None]
