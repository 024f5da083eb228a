"""A server with a rate of accepted connections: a flood of connections costs no more than that."""

import asyncio
import time
from collections import Counter

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from runtime.server.http_connections import HttpLimits
from tests.runtime.server.test_serving import serving

PER_SECOND = 50
CLIENTS = 40
SECONDS = 0.5
ASK = b"GET / HTTP/1.1\r\nhost: fillwire\r\n\r\n"
LIMITS = HttpLimits(connections_max=10, connections_per_second=PER_SECOND, keep_alive_seconds=0.0)


async def root(_request: Request) -> Response:
    return PlainTextResponse("up")


SITE = Starlette(routes=[Route("/", root)])


async def ask(port: int) -> bytes:
    """Send one request over a new connection; return everything until the server ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(ASK * 2)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def test_connections_beyond_the_pace_wait_and_are_not_refused() -> None:
    statuses: Counter[bytes] = Counter()

    async def flood(port: int, until: float) -> None:
        while time.monotonic() < until:
            statuses[(await ask(port))[:12]] += 1

    async with serving(SITE, limits=LIMITS) as (port, _):
        began = time.monotonic()
        await asyncio.gather(*(flood(port, began + SECONDS) for _ in range(CLIENTS)))
        seconds = time.monotonic() - began

    assert set(statuses) == {b"HTTP/1.1 200"}
    assert CLIENTS <= statuses.total() <= PER_SECOND * seconds + 1


async def test_each_connection_has_one_answer() -> None:
    async with serving(SITE, limits=LIMITS) as (port, _):
        answer = await ask(port)

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer


async def test_idle_connections_make_room() -> None:
    async with serving(SITE, limits=LIMITS) as (port, _):
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2 * LIMITS.connections_max)]

        assert (await asyncio.wait_for(ask(port), 5)).startswith(b"HTTP/1.1 200")
        for _, writer in idle:
            writer.transport.abort()


async def test_a_stopping_server_stops_accepting() -> None:
    async with serving(SITE, limits=LIMITS) as (port, task):
        assert await ask(port)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        try:
            assert await ask(port) == b""
        except ConnectionRefusedError:
            return
