"""Websockets whose client does not read, does not answer, or does not close: their connections end anyway."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from runtime.server.http_connections import HttpLimits
from runtime.server.http_protocol import HttpProtocol
from runtime.server.serving import serve
from runtime.server.websocket_protocol import WebSocketLimits, WebSocketProtocol
from tests.support.processes import eventually
from tests.support.raw_socket import CLOSE, PING, frame, raw_socket
from tools.devstack.ports import free_port

DEADLINE_SECONDS = 5.0
UPGRADE = (
    b"host: fillwire\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
NO_HANDSHAKES = {
    "a long line": b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"x: " + b"a" * 9_000 + b"\r\n\r\n",
    "a long address": b"GET /ws?" + b"a" * 9_000 + b" HTTP/1.1\r\n" + UPGRADE + b"\r\n",
    "a body": b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"content-length: 1\r\n\r\nx",
    "chunks": b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
}
LIMITS = WebSocketLimits(
    message_max_bytes=65_536, frames_per_second=1_000_000, frames_burst=1_000_000, stalled_seconds=0.3
)
FEW = WebSocketLimits(message_max_bytes=65_536, frames_per_second=1, frames_burst=10, flood_close_delay_seconds=0.3)


async def test_a_peer_that_only_pings_and_reads_nothing_is_cut() -> None:
    async with serving() as (port, ended):
        narrow = await connected(port)

        # The pongs fill every buffer in between, and the application, which sends nothing, has no deadline to miss.
        with narrow, pytest.raises(ConnectionResetError):
            await asyncio.wait_for(flood(narrow, frame(b"x" * 125, opcode=PING) * 1_000), DEADLINE_SECONDS)
        await asyncio.wait_for(ended.wait(), DEADLINE_SECONDS)


async def test_a_peer_that_answers_no_ping_is_closed_with_1001_which_clients_retry_and_its_connection_ended() -> None:
    async with serving(replace(LIMITS, ping_seconds=0.2)) as (port, ended), raw_socket(port, path="/ws") as peer:
        assert (await peer.next_frame()).opcode == PING

        assert await peer.closed() == (1001, "No answer to a ping")
        await peer.ended()
        await asyncio.wait_for(ended.wait(), DEADLINE_SECONDS)


async def test_a_client_that_still_sends_after_the_close_is_disconnected() -> None:
    async with serving() as (port, ended), raw_socket(port, path="/ws") as peer:
        await peer.send(frame(b"x" * 2 * LIMITS.message_max_bytes))
        assert (await peer.next_frame()).opcode == CLOSE

        async with asyncio.timeout(DEADLINE_SECONDS):
            while not peer.writer.transport.is_closing():
                await peer.send(frame(b"more"))
                await asyncio.sleep(0.01)
        assert ended.is_set()


@pytest.mark.parametrize("head", NO_HANDSHAKES.values(), ids=NO_HANDSHAKES)
async def test_an_upgrade_that_is_no_handshake_is_answered_with_400_and_its_connection_ends(head: bytes) -> None:
    async with serving() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)

        async with asyncio.timeout(DEADLINE_SECONDS):
            answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_a_flood_is_answered_late_and_its_messages_are_dropped() -> None:
    loop = asyncio.get_running_loop()
    async with serving(FEW) as (port, ended), raw_socket(port, path="/ws") as peer:
        began = loop.time()
        await peer.send(frame(b"x") * (FEW.frames_burst + 1))

        assert await peer.closed() == (4429, "More than 1 messages a second")
        assert loop.time() - began >= FEW.flood_close_delay_seconds
        await asyncio.wait_for(ended.wait(), DEADLINE_SECONDS)


async def test_a_peer_that_floods_and_disconnects_leaves_no_resources() -> None:
    async with serving(FEW) as (port, ended):
        async with raw_socket(port, path="/ws") as peer:
            await peer.send(frame(b"x") * (FEW.frames_burst + 1))

        await asyncio.wait_for(ended.wait(), DEADLINE_SECONDS)


async def test_a_socket_that_has_ended_is_gone_without_the_garbage_collector() -> None:
    gc.collect()
    others = connections()  # Referenced, so that no new one gets the address of an old one.
    gc.disable()
    try:
        async with serving() as (port, ended):
            async with raw_socket(port, path="/ws"):
                assert len(connections()) > len(others)
            await asyncio.wait_for(ended.wait(), DEADLINE_SECONDS)
            await eventually(lambda: len(connections()) == len(others), within_seconds=DEADLINE_SECONDS)
    finally:
        gc.enable()


def connections() -> Sequence[object]:
    """Return all connections that are still in memory."""
    return [one for one in gc.get_objects() if isinstance(one, HttpProtocol | WebSocketProtocol)]


@asynccontextmanager
async def serving(limits: WebSocketLimits | None = None) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Serve a websocket that only receives; yield its port, and an event that is set when a conversation has ended."""
    ended = asyncio.Event()

    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            async for _ in websocket.iter_text():
                pass
        finally:
            ended.set()

    async def root(_request: Request) -> Response:
        return PlainTextResponse("up")

    port = free_port()
    application = Starlette(routes=[Route("/", root), WebSocketRoute("/ws", listen)])
    task = asyncio.create_task(
        serve(
            application,
            host="127.0.0.1",
            port=port,
            stop_within_seconds=DEADLINE_SECONDS,
            http_limits=HttpLimits(connections_max=100),
            websocket_limits=limits or LIMITS,
        )
    )
    await asyncio.sleep(0)  # It listens from here on.
    try:
        yield port, ended
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def connected(port: int) -> socket.socket:
    """Return a connection with a small window, after its handshake."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(narrow, ("127.0.0.1", port))
    await loop.sock_sendall(
        narrow,
        b"GET /ws HTTP/1.1\r\nhost: fillwire\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    )
    assert (await loop.sock_recv(narrow, 2_048)).startswith(b"HTTP/1.1 101")
    return narrow


async def flood(connection: socket.socket, data: bytes) -> None:
    """Send the data over and over."""
    while True:
        await asyncio.get_running_loop().sock_sendall(connection, data)
