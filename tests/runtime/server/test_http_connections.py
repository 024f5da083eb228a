"""HTTP connections: a client that sends nothing, sends too slowly, or does not read is disconnected soon."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.server.http_connections import HttpLimits
from runtime.server.http_protocol import PIPELINED_MAX
from runtime.server.stalled_peer import reset_connection
from tests.runtime.server.test_serving import serving
from tests.support.processes import eventually

DEADLINE_SECONDS = 5.0
LARGE_BYTES = 50_000_000
LONG_BYTES = 8_000_000
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
ASK = b"GET / HTTP/1.1\r\nhost: fillwire\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def test_a_silent_connection_makes_room_for_a_request() -> None:
    async with running(HttpLimits(connections_max=3)) as site:
        idle = [await site.connect() for _ in range(3)]

        assert await answer(await site.connect()) == 200
        assert await is_cut(idle[0])
        assert await answer(idle[2]) == 200


async def test_when_every_connection_is_served_one_more_is_asked_to_retry() -> None:
    async with running(HttpLimits(connections_max=2)) as site:
        busy = [await site.connect() for _ in range(2)]
        for number, (_, writer) in enumerate(busy, start=1):
            writer.write(b"GET /held HTTP/1.1\r\nhost: fillwire\r\n\r\n")
            await eventually(lambda: site.held == number, within_seconds=DEADLINE_SECONDS)  # noqa: B023 - awaited here

        assert await answer(await site.connect()) == 503
        assert site.refused == 1
        site.released.set()
        assert [await status(reader) for reader, _ in busy] == [200, 200]


async def test_a_request_that_does_not_arrive_whole_in_time_is_cut() -> None:
    async with running(HttpLimits(connections_max=10, request_seconds=0.2)) as site:
        for part in (b"", b"GET / HT", ASK[:-2], b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf"):
            reader, writer = await site.connect()
            writer.write(part)

            assert await is_cut((reader, writer)), part


async def test_a_connection_is_used_again_and_cut_when_its_next_request_stays_away() -> None:
    async with running(HttpLimits(connections_max=10, request_seconds=0.3)) as site:
        streams = await site.connect()

        assert [await answer(streams) for _ in range(3)] == [200, 200, 200]
        streams[1].write(ASK[:10])
        assert await is_cut(streams)


async def test_pipelined_requests_are_all_answered() -> None:
    async with running(HttpLimits(connections_max=10)) as site:
        reader, writer = await site.connect()
        writer.write(ASK * 3)

        assert [await status(reader) for _ in range(3)] == [200, 200, 200]


async def test_who_does_not_read_the_answer_is_cut_and_leaves_nothing_in_the_kernel() -> None:
    async with running(HttpLimits(connections_max=10, stalled_seconds=0.3)) as site:
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        narrow.connect(("127.0.0.1", site.port))
        narrow.sendall(b"GET /large HTTP/1.1\r\nhost: fillwire\r\n\r\n")

        # A reset arrives immediately, even at a client that has not read; a FIN would come after the unread bytes.
        await eventually(lambda: has_been_reset(narrow), within_seconds=DEADLINE_SECONDS)
        narrow.close()


@pytest.mark.parametrize(
    "head",
    [b"x: " + b"a" * 9_000, b"x: " + b"a" * 5_000 + b"\r\ny: " + b"a" * 5_000, b"\r\n".join([b"x: y"] * 21)],
    ids=["in one line", "in several", "too many lines"],
)
@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["that goes on", "that is whole"])
async def test_a_head_that_is_too_large_is_refused_with_431(head: bytes, end: bytes) -> None:
    async with running(HttpLimits(connections_max=10, head_max_bytes=8_192, headers_max=20)) as site:
        for beginning in (b"GET / HTTP/1.1\r\n", b"GET /?" + b"a" * 8_192 + b" HTTP/1.1\r\n"):
            reader, writer = await site.connect()
            writer.write(beginning + head + (end or b"\r\nz: "))

            assert await status(reader) == 431
            assert await is_cut((reader, writer))


async def test_each_request_has_a_head_of_its_own() -> None:
    async with running(HttpLimits(connections_max=10, head_max_bytes=400, headers_max=3)) as site:
        reader, writer = await site.connect()
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 900\r\n\r\n" + b"x" * 900)

        assert [await status(reader) for _ in range(3)] == [200, 200, 200]


async def test_a_client_with_too_many_pipelined_requests_is_disconnected() -> None:
    async with running(HttpLimits(connections_max=10)) as site:
        reader, writer = await site.connect()
        writer.write(ASK * (PIPELINED_MAX + 2))

        assert await is_cut((reader, writer))


async def test_an_upgrade_after_a_request_that_is_not_answered_yet_ends_the_connection() -> None:
    async with running(HttpLimits(connections_max=10, request_seconds=0.2)) as site:
        reader, writer = await site.connect()
        writer.write(
            b"GET /held HTTP/1.1\r\nhost: a\r\n\r\nGET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n"
            b"connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )

        assert await is_cut((reader, writer))


async def test_a_websocket_waits_to_be_opened_while_requests_are_served() -> None:
    async with running(HttpLimits(connections_max=10, upgrades_per_second=4)) as site:
        first, second, third = [await upgrading(site) for _ in range(3)]
        assert await head_of(first) == 403

        assert await answer(await site.connect()) == 200
        assert not second[0].at_eof()
        third[1].transport.abort()
        assert await head_of(second) == 403


async def test_a_websocket_not_opened_in_time_is_closed() -> None:
    async with running(HttpLimits(connections_max=10, upgrades_per_second=1, request_seconds=0.3)) as site:
        first, second = [await upgrading(site) for _ in range(2)]
        assert await head_of(first) == 403

        assert await is_cut(second)


async def test_a_websocket_that_fails_while_waiting_is_logged_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    failure, reported = RuntimeError("it fails"), list[object]()

    def fail(_: HttpToolsProtocol) -> None:
        raise failure

    async with running(HttpLimits(connections_max=10, upgrades_per_second=4)) as site:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context.get("exception")))
        first, second = [await upgrading(site) for _ in range(2)]
        assert await head_of(first) == 403
        monkeypatch.setattr(HttpToolsProtocol, "handle_websocket_upgrade", fail)

        assert await is_cut(second)
        assert reported == [failure]


def test_a_connection_that_has_ended_already_can_be_cut() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    transport = EndedTransport(ours)

    reset_connection(transport)

    assert transport.is_aborted


class EndedTransport(asyncio.Transport):
    """Like uvloop's: its socket raises ValueError after its end."""

    is_aborted = False

    def __init__(self, connection: socket.socket) -> None:
        super().__init__({"socket": self})
        connection.close()

    def setsockopt(self, *_arguments: object) -> None:
        raise ValueError("Invalid file descriptor: -1")

    def abort(self) -> None:
        self.is_aborted = True


async def test_a_connection_in_use_may_be_idle_longer_than_a_request_may_take() -> None:
    async with running(HttpLimits(connections_max=10, request_seconds=0.2, keep_alive_seconds=3.0)) as site:
        streams = await site.connect()
        assert await answer(streams) == 200

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(streams[0].read(), 0.5)
        assert await answer(streams) == 200


async def test_an_idle_connection_ends_after_the_keep_alive_time() -> None:
    async with running(HttpLimits(connections_max=10, keep_alive_seconds=0.2)) as site:
        streams = await site.connect()
        assert await answer(streams) == 200

        assert await is_cut(streams)


async def test_empty_lines_between_requests_do_not_keep_a_connection_open() -> None:
    async with running(HttpLimits(connections_max=10, request_seconds=0.2, keep_alive_seconds=1.0)) as site:
        streams = await site.connect()
        assert await answer(streams) == 200
        streams[1].write(b"\r\n")

        assert await is_cut(streams)


async def test_who_reads_slowly_and_steadily_gets_the_whole_answer() -> None:
    async with running(HttpLimits(connections_max=10, stalled_seconds=0.3)) as site:
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        narrow.connect(("127.0.0.1", site.port))
        narrow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(narrow, b"GET /long HTTP/1.1\r\nhost: fillwire\r\n\r\n")

        with narrow:
            async with asyncio.timeout(4 * DEADLINE_SECONDS):
                read = 0
                while read < LONG_BYTES:
                    read += len(await loop.sock_recv(narrow, 40_000))
                    await asyncio.sleep(0.01)  # The client's rate.


def has_been_reset(connection: socket.socket) -> bool:
    """Whether the other end has cut the connection."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


@dataclass(kw_only=True)
class Site:
    """A server's port and the behavior of its pages. `held` counts the requests that wait for `released`."""

    port: int = 0
    held: int = 0
    refused: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    _opened: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> Streams:
        """Open a connection, closed with the site."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._opened.append(writer)
        return reader, writer

    def routes(self) -> Sequence[Route]:
        """Return the pages."""
        return [
            Route("/", self._answer, methods=["GET", "POST"]),
            Route("/held", self._hold),
            Route("/large", self._answer_at_length),
            Route("/long", self._answer_for_long),
        ]

    def refuse(self) -> None:
        """Count a connection that the server has refused."""
        self.refused += 1

    async def close(self) -> None:
        """Close every connection, and release waiting requests: the server would wait for them."""
        self.released.set()
        for writer in self._opened:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: Request) -> Response:
        await request.body()
        return PlainTextResponse("up")

    async def _hold(self, _request: Request) -> Response:
        self.held += 1
        await self.released.wait()
        return PlainTextResponse("done")

    async def _answer_at_length(self, _request: Request) -> Response:
        return PlainTextResponse(b"x" * LARGE_BYTES)

    async def _answer_for_long(self, _request: Request) -> Response:
        return PlainTextResponse(b"x" * LONG_BYTES)


@asynccontextmanager
async def running(limits: HttpLimits) -> AsyncIterator[Site]:
    """Run a server with these limits."""
    site = Site()
    async with serving(Starlette(routes=site.routes()), limits=limits, refused=site.refuse) as (site.port, _):
        try:
            yield site
        finally:
            await site.close()


async def upgrading(site: Site) -> Streams:
    """Open a connection that requests a websocket. The site has none: it is answered 403 when it is handled."""
    reader, writer = await site.connect()
    writer.write(UPGRADE)
    return reader, writer


async def head_of(streams: Streams) -> int:
    """Return the status of the answer to a handshake."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        return int((await streams[0].readuntil(b"\r\n\r\n")).split(b" ")[1])


async def answer(streams: Streams) -> int:
    """Send a request, and return the status of the answer."""
    reader, writer = streams
    writer.write(ASK)
    return await status(reader)


async def status(reader: asyncio.StreamReader) -> int:
    """Return the status of the next answer, with its body read."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line for line in head.splitlines() if line.startswith("content-length:"))
        await reader.readexactly(int(length.split(":")[1]))
    return int(head.split(" ")[1])


async def is_cut(streams: Streams) -> bool:
    """Whether the server ends the connection under the deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        with suppress(ConnectionError):
            return await streams[0].read() == b""
    return True
