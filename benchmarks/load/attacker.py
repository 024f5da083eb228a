"""The attacking process: each attack for a number of seconds, with a report of the server's reactions.

It sends raw bytes, with a mask of zeros: its own processor time is taken from the server.
"""

import asyncio
import itertools
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
import uvloop

from benchmarks.load.http import HttpLoad, ask, post
from benchmarks.load.obeying import obey
from runtime.server.listening import allow_open_files

HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
METRICS = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
CUT, SILENT = NO_STATUS = ("cut", "no answer")
TEXT, CLOSE = 0x1, 0x8
SHORT, LONG = 126, 127
PATIENCE_SECONDS = 10.0
AT_ONCE = 64
LARGE_BYTES = 20_000_000
ALIASES, DEPTH = 5_000, 2_000
SUBSCRIPTIONS = 10
NARROW_BYTES = 4_096
FLOOD = 10_000
ALIAS_CHARACTERS = 480
UPDATES = "subscription { orderUpdates { " + (
    " ".join(f"{f'a{number}_':x<{ALIAS_CHARACTERS}}: kind" for number in range(28)) + " } }"
)
"""Little work and many bytes: each update comes with the long names that were given to its fields."""
ORDERS_PER_SECOND = 20

Answer = dict[str, Any]


async def stall(*, port: int, token: str, order: str, seconds: float) -> Answer:
    """Subscribe many times, stop reading, and cause changes; return the time until the server closed the connection."""
    ends = time.monotonic() + seconds
    narrow = socket.socket()
    # Before it connects: an announced window is not reduced later.
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BYTES)
    narrow.connect(("127.0.0.1", port))
    narrow.sendall(HANDSHAKE)
    narrow.recv(NARROW_BYTES)
    narrow.sendall(init(token) + b"".join(subscribe(str(key), UPDATES) for key in range(SUBSCRIPTIONS)))
    load = HttpLoad(
        port=port,
        requests=[order],
        concurrency=4,
        seconds=seconds,
        expect="PlaceOrderSuccess",
        rate=ORDERS_PER_SECOND,
    )
    placing = asyncio.create_task(ask(load))
    began, cut = time.monotonic(), 0.0
    while time.monotonic() < ends:
        await asyncio.sleep(0.01)
        if not cut and narrow.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            cut = time.monotonic() - began
    narrow.close()
    await placing
    return {"met": {"cut off": int(cut > 0)}, "seconds": cut}


async def crowd(*, port: int, tokens: list[str], count: int, seconds: float) -> Answer:
    """Open that number of sockets, authenticate them where there are tokens, and hold those that stay open."""
    ends = time.monotonic() + seconds
    met: Counter[str] = Counter()
    opened: list[asyncio.StreamWriter] = []
    listening: list[asyncio.Task[int]] = []
    gate = asyncio.Semaphore(AT_ONCE)

    async def open_one(number: int) -> None:
        async with gate:
            if time.monotonic() >= ends:
                return
            try:
                streams = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                met["not connected"] += 1
                return
            opened.append(streams[1])
            streams[1].write(HANDSHAKE)
            met[await _head(streams[0])] += 1
            if tokens:
                streams[1].write(init(tokens[number % len(tokens)]))
            listening.append(asyncio.create_task(_wait_for_close(streams[0])))

    await asyncio.gather(*(open_one(number) for number in range(count)))
    await asyncio.sleep(max(0.0, ends - time.monotonic()))
    for task in listening:
        met[f"closed with {task.result()}" if task.done() else "left open"] += 1
        task.cancel()
    for writer in opened:
        writer.transport.abort()
    return {"met": met}


async def flood(*, port: int, token: str, seconds: float) -> Answer:
    """Send messages as fast as the connection accepts them, and reconnect when it is closed."""
    met: Counter[str] = Counter()
    messages = frame(b'{"type":"ping"}') * FLOOD
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HANDSHAKE + init(token))
        await _head(reader)
        writer.write(messages)
        met[f"closed with {await _wait_for_close(reader)}"] += 1
        writer.transport.abort()
    return {"met": met}


async def post_large(*, port: int, token: str, seconds: float) -> Answer:
    """Post a document of 20 MB repeatedly."""
    body = orjson.dumps({"query": "{ viewer { accountId } } #" + "x" * LARGE_BYTES}).decode()
    request = post("/graphql", body, token=token).encode()
    return await _post(port, seconds, lambda _: request)


async def post_aliases(*, port: int, token: str, seconds: float) -> Answer:
    """Post a document with 5000 aliases, different each time."""
    fields = " ".join(f"a{number}:viewer{{accountId}}" for number in range(ALIASES))
    return await _post(port, seconds, lambda number: _request(f"query Q{number} {{ {fields} }}", token))


async def post_deep(*, port: int, token: str, seconds: float) -> Answer:
    """Post a document 2000 levels deep, different each time."""
    nested = "{a" * DEPTH + "}" * DEPTH
    return await _post(port, seconds, lambda number: _request(f"query Q{number} {nested}", token))


async def ask_in_circles(*, port: int, token: str, query: str, connections: int, seconds: float) -> Answer:
    """Send the same valid request from many connections, each when the previous one is answered."""
    met: Counter[str] = Counter()
    request = _request(query, token)
    ends = time.monotonic() + seconds

    async def ask_again() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < ends:
            writer.write(request)
            status = await _head(reader, with_body=True)
            met[status] += 1
            if status in NO_STATUS:
                break
        writer.transport.abort()

    await asyncio.gather(*(ask_again() for _ in range(connections)))
    return {"met": met}


async def ask_for_metrics(*, port: int, clients: int, seconds: float) -> Answer:
    """Request the metrics continuously, over a new connection whenever the last one has ended."""
    met: Counter[str] = Counter()
    ends = time.monotonic() + seconds

    async def ask_again() -> None:
        while time.monotonic() < ends:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                met["not connected"] += 1
                continue
            while time.monotonic() < ends:
                writer.write(METRICS)
                if (status := await _head(reader, with_body=True)) in NO_STATUS:
                    break
                met[status] += 1
            writer.transport.abort()

    await asyncio.gather(*(asyncio.create_task(ask_again()) for _ in range(clients)))
    return {"met": met}


def _request(document: str, token: str) -> bytes:
    return post("/graphql", orjson.dumps({"query": document}).decode(), token=token).encode()


async def _post(port: int, seconds: float, request: Callable[[int], bytes]) -> Answer:
    met: Counter[str] = Counter()
    numbers = itertools.count()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(next(numbers)))
        met[await _head(reader)] += 1
        writer.transport.abort()
    return {"met": met}


async def _head(reader: asyncio.StreamReader, *, with_body: bool = False) -> str:
    """Return the status of an answer, which is read to its end on request; or the error without one."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await reader.readuntil(HEAD_END)
            if with_body:
                await reader.readexactly(int(head.lower().split(LENGTH)[1].split(b"\r\n", 1)[0]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return CUT
    except TimeoutError:
        return SILENT
    return head.split(b" ", 2)[1].decode()


async def _wait_for_close(reader: asyncio.StreamReader) -> int:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            first, length = await reader.readexactly(2)
            if length == SHORT:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
            elif length == LONG:
                (length,) = struct.unpack("!Q", await reader.readexactly(8))
            payload = await reader.readexactly(length)
            if first & 0x0F == CLOSE:
                return int(struct.unpack("!H", payload[:2])[0])
    return 1006


def init(token: str) -> bytes:
    """Return the frame of connection_init."""
    return frame(orjson.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))


def subscribe(key: str, query: str) -> bytes:
    """Return the frame of a subscribe message."""
    return frame(orjson.dumps({"id": key, "type": "subscribe", "payload": {"query": query}}))


def frame(payload: bytes) -> bytes:
    """Return a text frame with a mask of zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < SHORT else bytes([0x80 | SHORT]) + struct.pack("!H", size)
    return bytes([0x80 | TEXT]) + length + bytes(4) + payload


async def main() -> None:
    """Obey until the input ends."""
    allow_open_files(20_000)
    deeds: dict[str, Callable[..., Awaitable[Answer]]] = {
        "stall": stall,
        "crowd": crowd,
        "flood": flood,
        "large": post_large,
        "aliases": post_aliases,
        "deep": post_deep,
        "circles": ask_in_circles,
        "metrics": ask_for_metrics,
    }
    await obey(deeds)


if __name__ == "__main__":
    uvloop.run(main())
