"""Serving: a stopping process finishes open requests, and closes every socket properly."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from runtime.server.http_connections import HttpLimits
from runtime.server.serving import nothing_to_count, serve
from runtime.server.websocket_protocol import WebSocketLimits
from tests.runtime.server.test_websocket_protocol import NO_HANDSHAKES, connected
from tests.support.processes import eventually
from tests.support.raw_socket import CLOSE, frame
from tools.devstack.ports import free_port
from tools.devstack.probes import http_answers

SERVICE_RESTART = 1012


@asynccontextmanager
async def serving(
    application: Starlette, *, limits: HttpLimits | None = None, refused: Callable[[], None] = nothing_to_count
) -> AsyncIterator[tuple[int, asyncio.Task[None]]]:
    """Serve the application on a free port, by a task that a test may cancel like a stopping process."""
    port = free_port()
    task = asyncio.create_task(
        serve(
            application,
            host="127.0.0.1",
            port=port,
            stop_within_seconds=5.0,
            http_limits=limits or HttpLimits(connections_max=100),
            websocket_limits=WebSocketLimits(message_max_bytes=1_024),
            refused=refused,
        )
    )
    await eventually(lambda: http_answers(f"http://127.0.0.1:{port}/"), within_seconds=5)
    try:
        yield port, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_request_under_way_is_answered_when_the_process_stops() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> Response:
        begun.set()
        await may_end.wait()
        return PlainTextResponse("done")

    async def root(_request: Request) -> Response:
        return PlainTextResponse("up")

    async with (
        serving(Starlette(routes=[Route("/", root), Route("/slow", slow)])) as (port, task),
        aiohttp.ClientSession() as session,
    ):
        asking = asyncio.create_task(session.get(f"http://127.0.0.1:{port}/slow"))
        await begun.wait()
        task.cancel()
        await asyncio.sleep(0)
        may_end.set()

        async with await asking as answer:
            assert await answer.text() == "done"
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_socket_is_closed_properly_when_the_process_stops() -> None:
    async def listen(peer: WebSocket) -> None:
        await peer.accept()
        async for _ in peer.iter_text():
            pass

    async def root(_request: Request) -> Response:
        return PlainTextResponse("up")

    async with serving(Starlette(routes=[Route("/", root), WebSocketRoute("/ws", listen)])) as (port, task):
        async with connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as peer:
            task.cancel()

            with pytest.raises(ConnectionClosed) as closed:
                await peer.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == SERVICE_RESTART


async def _no_handshake(port: int) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port))
    peer.sendall(NO_HANDSHAKES["a long line"])
    return peer


async def _goodbye_of_who_does_not_read(port: int) -> socket.socket:
    peer = await connected(port)
    peer.sendall(frame(b"\x03\xe8", opcode=CLOSE))
    return peer


@pytest.mark.parametrize("misbehave", [_no_handshake, _goodbye_of_who_does_not_read])
async def test_a_peer_that_misbehaves_takes_no_answer_from_the_others_when_the_process_stops(
    misbehave: Callable[[int], Awaitable[socket.socket]],
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> Response:
        begun.set()
        await may_end.wait()
        return PlainTextResponse("done")

    async def root(_request: Request) -> Response:
        return PlainTextResponse("up")

    async def flood(peer: WebSocket) -> None:
        await peer.accept()
        with suppress(WebSocketDisconnect):
            while True:
                await peer.send_text("x" * 200_000)

    routes = [Route("/", root), Route("/slow", slow), WebSocketRoute("/ws", flood)]
    async with serving(Starlette(routes=routes)) as (port, task), aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.get(f"http://127.0.0.1:{port}/slow"))
        await begun.wait()
        with await misbehave(port):
            # One more answer: everything sent before it has been read.
            async with session.get(f"http://127.0.0.1:{port}/"):
                task.cancel()
            await asyncio.sleep(0)
            may_end.set()

            async with await asking as answer:
                assert await answer.text() == "done"
            with pytest.raises(asyncio.CancelledError):
                await task
