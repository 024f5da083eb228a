"""The execution stream against a server that misbehaves; the good cases are in the contract with the simulator."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from domain.model.errors import VenueUnreachableError
from domain.ports.venue import UnreadableReport, VenueReport
from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.stream import AlpacaStream
from tests.exchange.test_wire import update
from tests.support.examples import now
from tests.support.fakes.installation import FixedInstallation
from tests.support.fakes.telemetry import RecordingTelemetry

AUTHORIZED = b'{"stream":"authorization","data":{"status":"authorized","action":"authenticate"}}'
LISTENING = b'{"stream":"listening","data":{"streams":["trade_updates"]}}'
NEW = orjson.dumps({"stream": "trade_updates", "data": update("new")})

Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def a_stream(talk: Talk) -> AsyncIterator[AlpacaStream]:
    async with serve(talk, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield a_stream_at(f"ws://127.0.0.1:{port}/stream")


def a_stream_at(url: str, *, proxy: str | None = None) -> AlpacaStream:
    settings = AlpacaSettings(url="", stream_url=url, key="k", secret="s", proxy=proxy)
    quick = replace(settings, stream_answer_timeout_seconds=0.3, stream_open_timeout_seconds=1)
    return AlpacaStream(installation=FixedInstallation(), settings=quick, clock=now, telemetry=RecordingTelemetry())


async def opened(stream: AlpacaStream) -> None:
    async with asyncio.timeout(10), stream.connect():
        pass


async def test_reports_that_arrive_before_the_answer_to_listen_are_buffered() -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(AUTHORIZED)
        await connection.recv()
        for frame in (NEW, LISTENING, NEW.decode(), b"\xff\x00", b'{"stream":"trade_updates","data":null}'):
            await connection.send(frame)

    async with a_stream(talk) as stream, stream.connect() as reports, asyncio.timeout(10):
        seen = [report async for some in reports for report in some]

    assert [type(each) for each in seen] == [VenueReport, VenueReport, UnreadableReport]
    assert seen[0] == seen[1]


async def test_a_venue_that_opens_and_never_answers_is_unreachable() -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with a_stream(silent) as stream:
        with pytest.raises(VenueUnreachableError, match="does not answer"):
            await opened(stream)


async def test_a_venue_that_closes_while_it_is_opened_is_unreachable() -> None:
    async def closing(connection: ServerConnection) -> None:
        await connection.close()

    async with a_stream(closing) as stream:
        with pytest.raises(VenueUnreachableError, match="closed"):
            await opened(stream)


async def test_a_venue_that_sends_no_trade_updates_is_unreachable() -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(AUTHORIZED)
        await connection.send(b'{"stream":"listening","data":{"streams":[]}}')
        await connection.wait_closed()

    async with a_stream(talk) as stream:
        with pytest.raises(VenueUnreachableError, match="does not send trade updates"):
            await opened(stream)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/stream", "not a url", "ws://venue.invalid/stream"])
async def test_a_stream_that_cannot_be_opened_is_unreachable(url: str) -> None:
    with pytest.raises(VenueUnreachableError, match="cannot be opened"):
        await opened(a_stream_at(url))


async def test_a_redirect_is_not_followed() -> None:
    requests = 0

    def redirect(connection: ServerConnection, request: Request) -> Response:
        nonlocal requests
        requests += 1
        response = connection.respond(307, "elsewhere")
        response.headers["Location"] = request.path
        return response

    async def talk(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(talk, "127.0.0.1", 0, process_request=redirect) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(VenueUnreachableError, match="307"):
            await opened(a_stream_at(f"ws://127.0.0.1:{port}/stream"))

    assert requests == 1
