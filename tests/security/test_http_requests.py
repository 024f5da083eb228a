"""Requests as an attacker writes them, to be delimited differently by a proxy and by Fillwire, and requests cut off."""

import asyncio
import itertools
import logging
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import orjson
import pytest

from domain.ports.telemetry import Metric
from tests.support.api_server import DEADLINE_SECONDS, Api, running_api, token, until

QUERY, DATA = "{ viewer { accountId } }", {"data": {"viewer": {"accountId": "alice"}}}
BODY, ANSWER = orjson.dumps({"query": QUERY}), orjson.dumps(DATA)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
H2C = (  # As java.net.http.HttpClient of Java 17 sends it with every request over plain HTTP.
    b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
    b"Upgrade: h2c\r\n"
)
WEBSOCKET = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
)
LONG = b"x" * 200_000
LARGE_BYTES = 1_000_000

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def request(
    extra: bytes = b"",
    *,
    line: bytes = b"POST /graphql HTTP/1.1",
    host: bytes = b"Host: gateway\r\n",
    body: bytes = BODY,
    length: bytes | None = None,
) -> bytes:
    """Return a request of alice; its Content-Length is correct unless another is given."""
    if length is None:
        length = b"" if b"transfer-encoding" in extra.lower() else b"Content-Length: %d\r\n" % len(body)
    bearer = b"Authorization: Bearer %s\r\n" % token().encode()
    return line + b"\r\n" + host + bearer + b"Content-Type: application/json\r\n" + extra + length + b"\r\n" + body


@pytest.fixture(scope="module")
async def serving() -> AsyncIterator[Api]:
    async with running_api() as api:
        yield api


@pytest.fixture
def api(serving: Api) -> Api:
    serving.world.clear()
    serving.world.telemetry.clear()
    return serving


SERVED = {
    "plain": request(),
    "chunked": request(CHUNKED, body=CHUNKS),
    "chunked with a trailer": request(CHUNKED, body=CHUNKS[:-2] + b"Checksum: 1\r\n\r\n"),
    "h2c": request(H2C),
    "h2c, chunked": request(H2C + CHUNKED, body=CHUNKS),
    "h2c, waiting for 100 Continue": request(H2C + b"Expect: 100-continue\r\n"),
    "h2c or websocket": request(WEBSOCKET.replace(b"websocket", b"h2c, websocket")),
    "TLS": request(b"Upgrade: TLS/1.0\r\nConnection: upgrade\r\n"),
    "an upgrade on HTTP/1.0": request(WEBSOCKET, line=b"POST /graphql HTTP/1.0"),
    "HTTP/1.0 without Host": request(line=b"POST /graphql HTTP/1.0", host=b""),
    "an empty Host": request(host=b"Host:\r\n"),
    "an address of IPv6": request(host=b"Host: [::1]:8000\r\n"),
    "an absolute target": request(line=b"POST http://gateway/graphql HTTP/1.1"),
}


@pytest.mark.parametrize("piece_bytes", [1, 10_000], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("sent", SERVED.values(), ids=SERVED)
async def test_a_good_request_is_answered_as_if_its_upgrade_were_not_there(
    api: Api, sent: bytes, piece_bytes: int
) -> None:
    async with connected(api) as streams:
        for start in range(0, len(sent), piece_bytes):
            streams[1].write(sent[start : start + piece_bytes])
            for _ in range(2):  # One round of the event loop to notice, one to read.
                await asyncio.sleep(0)

        assert await answer(streams) == (200, ANSWER)


@pytest.mark.parametrize("first", [request(H2C), request(H2C, body=b"{}"), request(H2C + CHUNKED, body=CHUNKS)])
async def test_what_follows_a_request_with_an_upgrade_is_a_request_of_its_own(api: Api, first: bytes) -> None:
    async with connected(api) as streams:
        streams[1].write(first * 2 + request())

        statuses = [(await answer(streams))[0] for _ in range(3)]

        assert statuses[0] == statuses[1]
        assert statuses[2] == 200


REFUSED = {
    "no Host": request(host=b""),
    "two Hosts": request(host=b"Host: gateway\r\nHost: gateway\r\n"),
    "two Hosts on HTTP/1.0": request(line=b"POST /graphql HTTP/1.0", host=b"Host: a\r\nHost: b\r\n"),
    "a list of Hosts": request(host=b"Host: a, b\r\n"),
    "a Host with a path": request(host=b"Host: a/b\r\n"),
    "a Host with a user": request(host=b"Host: a@b\r\n"),
    "a Host with a blank": request(host=b"Host: a b\r\n"),
    "a websocket without Host": request(WEBSOCKET, line=b"GET /graphql HTTP/1.1", host=b"", body=b"", length=b""),
    "h2c without Host": request(H2C, host=b""),
    "Transfer-Encoding on HTTP/1.0": request(CHUNKED, line=b"POST /graphql HTTP/1.0", body=CHUNKS),
    "gzip, chunked": request(b"Transfer-Encoding: gzip, chunked\r\n", body=CHUNKS),
    "gzip and chunked in two lines": request(b"Transfer-Encoding: gzip\r\n" + CHUNKED, body=CHUNKS),
    "chunked, gzip": request(b"Transfer-Encoding: chunked, gzip\r\n", body=CHUNKS),
    "chunked twice": request(CHUNKED + CHUNKED, body=CHUNKS),
    "chunked with a parameter": request(b"Transfer-Encoding: chunked;q=1\r\n", body=CHUNKS),
    "identity": request(b"Transfer-Encoding: identity\r\n", body=CHUNKS),
    "an empty Transfer-Encoding": request(b"Transfer-Encoding:\r\n", body=CHUNKS),
    "both lengths": request(CHUNKED, body=CHUNKS, length=b"Content-Length: 5\r\n"),
    "both lengths with h2c": request(H2C + CHUNKED, body=CHUNKS, length=b"Content-Length: 5\r\n"),
    "two lengths": request(length=b"Content-Length: 36\r\nContent-Length: 36\r\n"),
    "a list of lengths": request(length=b"Content-Length: 36, 36\r\n"),
    "a length with a plus": request(length=b"Content-Length: +36\r\n"),
    "a negative length": request(length=b"Content-Length: -1\r\n"),
    "a length in hexadecimal": request(length=b"Content-Length: 0x24\r\n"),
    "an empty length": request(length=b"Content-Length:\r\n"),
    "an endless length": request(length=b"Content-Length: 99999999999999999999999\r\n"),
    "200 kB of chunk extensions": request(CHUNKED, body=b"24;a=" + LONG + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "200 kB of extensions of the last chunk": request(CHUNKED, body=CHUNKS[:-4] + b";a=" + LONG + b"\r\n\r\n"),
    "200 kB of extensions on many chunks": request(
        CHUNKED, body=b"".join(b"1;a=%s\r\n%c\r\n" % (LONG[:6_000], byte) for byte in BODY)
    ),
    "200 kB of zeros before a chunk's size": request(CHUNKED, body=b"0" * 200_000 + CHUNKS),
    "200 kB of one trailer": request(CHUNKED, body=CHUNKS[:-2] + b"X: " + LONG + b"\r\n\r\n"),
    "200 kB of trailers": request(CHUNKED, body=CHUNKS[:-2] + b"X: y\r\n" * 33_000 + b"\r\n"),
    "a Content-Length as a trailer": request(CHUNKED, body=CHUNKS[:-2] + b"Content-Length: 3\r\n\r\n"),
    "a chunk's size with a plus": request(CHUNKED, body=b"+" + CHUNKS),
    "a chunk's size with 0x": request(CHUNKED, body=b"0x" + CHUNKS),
    "a chunk that is longer than its size": request(CHUNKED, body=CHUNKS.replace(b"{", b"{ ", 1)),
    "chunks with bare line feeds": request(CHUNKED, body=CHUNKS.replace(b"\r\n", b"\n")),
    "a folded line": request(b"X: a\r\n b\r\n"),
    "a folded Transfer-Encoding": request(b"Transfer-Encoding:\r\n chunked\r\n", body=CHUNKS),
    "bare line feeds": request().replace(b"\r\n", b"\n"),
    "one bare line feed": request(b"X: a\nTransfer-Encoding: chunked\r\n", body=CHUNKS),
    "a bare carriage return": request(b"X: a\rY: b\r\n"),
    "a NUL in a value": request(b"X: a\0b\r\n"),
    "a NUL in a name": request(b"X\0: a\r\n"),
    "a blank before a colon": request(b"Transfer-Encoding : chunked\r\n", body=CHUNKS),
    "a tab before a colon": request(b"X\t: a\r\n"),
    "a line without a name": request(b": a\r\n"),
    "a tunnel": request(line=b"CONNECT gateway:443 HTTP/1.1"),
    "a tunnel to a path": request(line=b"CONNECT /graphql HTTP/1.1"),
    "a target without a path": request(line=b"POST http://gateway HTTP/1.1"),
    "a target that is an authority": request(line=b"POST gateway:80 HTTP/1.1"),
    "HTTP/0.9": b"GET /graphql\r\n\r\n",
    "HTTP/2.0": request(line=b"POST /graphql HTTP/2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a websocket with a body": request(WEBSOCKET, line=b"GET /graphql HTTP/1.1"),
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
async def test_a_request_that_can_be_delimited_in_two_ways_is_refused_and_nothing_after_it_is_read(
    api: Api, sent: bytes
) -> None:
    async with connected(api) as streams:
        streams[1].write(sent + request())

        assert (await answer(streams))[0] == 400
        assert await rest(streams) == b""
        assert not api.world.telemetry.said("unexpected_error")


async def test_a_refusal_is_never_taken_for_the_answer_to_the_request_before_it(api: Api) -> None:
    async with connected(api) as streams:
        streams[1].write(request() + b"GARBAGE\r\n\r\n")

        assert b"HTTP/1.1 400" not in await rest(streams)


async def test_a_trailer_is_not_taken_for_a_header(api: Api) -> None:
    async with connected(api) as streams:
        sent = request(CHUNKED, body=CHUNKS[:-2] + b"Authorization: Bearer " + token().encode() + b"\r\n\r\n")
        streams[1].write(sent.replace(b"Authorization", b"X-Nobody", 1))

        assert (await answer(streams))[0] == 401


async def test_small_chunks_of_a_good_request_are_no_abuse(api: Api) -> None:
    padded = BODY + b" " * 60_000
    parts = (padded[start : start + 8] for start in range(0, len(padded), 8))
    async with connected(api) as streams:
        streams[1].write(
            request(CHUNKED, body=b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n")
        )

        assert await answer(streams) == (200, ANSWER)


CUT_OFF = {
    "in the body": request()[:-9],
    "behind the head": request(body=b"", length=b"Content-Length: 5\r\n"),
    "in a chunk": request(CHUNKED, body=CHUNKS[:20]),
    "between chunks": request(CHUNKED, body=b"%x\r\n%s\r\n" % (len(BODY), BODY)),
    "in the body, with h2c": request(H2C)[:-9],
    "waiting for 100 Continue": request(b"Expect: 100-continue\r\n", body=b"", length=b"Content-Length: 5\r\n"),
    "behind a good request": request() + request()[:-9],
}


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("sent", CUT_OFF.values(), ids=CUT_OFF)
async def test_a_client_that_disconnects_within_a_body_is_counted_and_is_no_error(
    api: Api, sent: bytes, is_reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(api) as (_, writer):
        writer.write(sent)
        # By the time of this answer the other connection was read, too.
        assert await api.answer(QUERY) == DATA
        leave(writer, is_reset=is_reset)

        await until(lambda: api.world.telemetry.counted(Metric.REQUESTS_ABANDONED) == 1)
        assert not api.world.telemetry.said("unexpected_error")
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


GONE = {
    "before the answer": request(),
    "before the late answer to a stranger": request().replace(b"Bearer ", b"Bearer x"),
    "while the rest of a large body is thrown away": request(
        body=b"x" * LARGE_BYTES, length=b"Content-Length: 9999999\r\n"
    ),
    "in a handshake": request(WEBSOCKET, line=b"GET /graphql HTTP/1.1", body=b"", length=b"")[:-2],
    "in a frame of a websocket": request(WEBSOCKET, line=b"GET /graphql HTTP/1.1", body=b"", length=b"") + b"\x81\xfe",
}


async def test_clients_that_disconnect_at_any_other_time_are_no_error_either(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    assert await api.answer(QUERY) == DATA
    tasks = len(asyncio.all_tasks())
    for sent, is_reset in itertools.product(GONE.values(), (False, True)):
        async with connected(api) as (_, writer):
            with suppress(ConnectionError):
                writer.write(sent)
                await writer.drain()
            leave(writer, is_reset=is_reset)

    assert await api.answer(QUERY) == DATA
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert not api.world.telemetry.said("unexpected_error")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@asynccontextmanager
async def connected(api: Api) -> AsyncIterator[Streams]:
    """Open a connection to the API."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answer(streams: Streams) -> tuple[int, bytes]:
    """Return the next answer: status and body."""
    reader, _ = streams
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (head := (await reader.readuntil(b"\r\n\r\n")).lower()).startswith(b"http/1.1 100"):
            pass
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n", 1)[0] or 0)
        return int(head.split(b" ")[1]), await reader.readexactly(length)


async def rest(streams: Streams) -> bytes:
    """Return everything until the server ends the connection."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        try:
            return await streams[0].read()
        except ConnectionError:
            return b""


def leave(writer: asyncio.StreamWriter, *, is_reset: bool) -> None:
    """End the connection: as a client that closes it, or as one that has crashed."""
    if is_reset:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
