"""Serving: a process that is asked to stop finishes what it has begun, and closes every socket properly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from runtime.http_protocol import HttpLimits
from runtime.local.ports import free_port
from runtime.local.probes import http_answers
from runtime.serving import serve
from runtime.websocket_protocol import WebSocketLimits
from tests.processes import eventually

SERVICE_RESTART = 1012


@asynccontextmanager
async def serving(
    application: Starlette, *, limits: HttpLimits | None = None
) -> AsyncIterator[tuple[int, asyncio.Task[None]]]:
    """The application on a port of its own, served by a task that a test may cancel as a stopping process does."""
    port = free_port()
    task = asyncio.create_task(
        serve(
            application,
            host="127.0.0.1",
            port=port,
            stop_within_seconds=5.0,
            http_limits=limits or HttpLimits(connections_max=100),
            websocket_limits=WebSocketLimits(message_max_bytes=1_024),
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
    async def listen(socket: WebSocket) -> None:
        await socket.accept()
        async for _ in socket.iter_text():
            pass

    async def root(_request: Request) -> Response:
        return PlainTextResponse("up")

    async with serving(Starlette(routes=[Route("/", root), WebSocketRoute("/ws", listen)])) as (port, task):
        async with connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as socket:
            task.cancel()

            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == SERVICE_RESTART
