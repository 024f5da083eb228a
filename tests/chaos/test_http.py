"""The load's HTTP client: connections are reused, except after an uncertain answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tools.chaos.http import HEAD_END, Connections

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _served(answer: Answer) -> AsyncIterator[tuple[str, list[int]]]:
    """Run a server that passes each request's body to `answer`; yield its address, and the number of requests of
    each connection.
    """
    requests: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(0)
        number = len(requests) - 1
        try:
            while True:
                head = await reader.readuntil(HEAD_END)
                requests[number] += 1
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                await answer(await reader.readexactly(length), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The client has gone.
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests


async def _echo(body: bytes, writer: asyncio.StreamWriter) -> None:
    # In two parts: an answer may arrive in any segments.
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body[:1])
    await writer.drain()
    await asyncio.sleep(0)
    writer.write(body[1:])


async def _post(connections: Connections, url: str, body: bytes = b"{}", *, timeout_seconds: float = 2.0) -> bytes:
    return await connections.post(url, "/graphql", body, token="t", timeout_seconds=timeout_seconds)


async def test_sequential_requests_share_a_connection_and_concurrent_ones_do_not() -> None:
    connections = Connections()
    async with _served(_echo) as (url, requests):
        assert await _post(connections, url, b'"first"') == b'"first"'
        assert await _post(connections, url, b'"second"') == b'"second"'
        at_once = await asyncio.gather(*(_post(connections, url, b"%d" % number) for number in range(3)))
        connections.close()

    assert at_once == [b"0", b"1", b"2"]
    assert sorted(requests) == [1, 1, 3]


async def test_a_connection_that_ends_before_its_answer_is_an_error_and_the_next_request_opens_another() -> None:
    is_closing = True

    async def hang_up_once(body: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal is_closing
        if is_closing:
            is_closing = False
            raise ConnectionResetError
        await _echo(body, writer)

    connections = Connections()
    async with _served(hang_up_once) as (url, requests):
        with pytest.raises(OSError):  # noqa: PT011  # Which one is the system's choice.
            await _post(connections, url)
        assert await _post(connections, url) == b"{}"
        connections.close()

    assert requests == [1, 1]


async def test_the_late_answer_to_a_request_that_timed_out_reaches_no_other() -> None:
    may_answer = asyncio.Event()

    async def late(body: bytes, writer: asyncio.StreamWriter) -> None:
        if body == b'"late"':
            await may_answer.wait()
        await _echo(body, writer)

    connections = Connections()
    async with _served(late) as (url, _):
        with pytest.raises(TimeoutError):
            await _post(connections, url, b'"late"', timeout_seconds=0.05)
        may_answer.set()
        assert await _post(connections, url, b'"next"') == b'"next"'
        connections.close()


async def test_an_answer_without_a_length_is_not_understood() -> None:
    async def endless(_body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")

    connections = Connections()
    async with _served(endless) as (url, _):
        with pytest.raises(ValueError, match="length"):
            await _post(connections, url)
        connections.close()
