"""A text that is framed once for all sockets is sent like every other text, and buffered like it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from graph.engine.shared_text import SHARED_TEXTS, SharedText
from runtime.server.http_connections import HttpLimits
from runtime.server.serving import serve
from runtime.server.websocket_protocol import WebSocketLimits
from tests.support.raw_socket import CLOSE, TEXT, Frame, RawSocket, frame, raw_socket
from tools.devstack.ports import free_port

DEADLINE_SECONDS = 5.0
TEXTS = ("", "a", "é😀", "x" * 125, "x" * 126, "x" * 65_535, "x" * 65_536)
"""At the edges of the three lengths of a frame's head (RFC 6455, 5.2)."""

Talk = Callable[[WebSocket], Awaitable[None]]
Tell = Callable[..., Awaitable[None]]


async def send_plain(websocket: WebSocket, *texts: str) -> None:
    for text in texts:
        await websocket.send_text(str(text))


async def send_shared(websocket: WebSocket, *texts: SharedText) -> None:
    assert SHARED_TEXTS in websocket.scope["extensions"]
    await websocket.send({"type": "websocket.send", "texts": texts})


@pytest.mark.parametrize("text", TEXTS, ids=map(len, TEXTS))
async def test_every_socket_gets_the_frame_that_a_plain_text_has(text: str) -> None:
    shared = SharedText(text)

    async def talk(websocket: WebSocket) -> None:
        await websocket.send_text(text)
        await send_shared(websocket, shared)

    async with serving(talk) as port:
        for _ in range(2):
            async with raw_socket(port, path="/ws") as peer:
                plain, other = await peer.next_frame(), await peer.next_frame()

                assert plain == other == Frame(opcode=TEXT, payload=text.encode())
    assert shared.frame is not None


async def test_texts_sent_together_arrive_as_separate_messages_in_order() -> None:
    shared = [SharedText(text) for text in TEXTS]

    async def talk(websocket: WebSocket) -> None:
        await send_shared(websocket, *shared)
        await send_shared(websocket, *reversed(shared))
        await websocket.send_text("the end")

    async with serving(talk) as port, raw_socket(port, path="/ws") as peer:
        reported = [(await peer.next_frame()).payload.decode() for _ in range(2 * len(TEXTS) + 1)]

    assert reported == [*TEXTS, *reversed(TEXTS), "the end"]


@pytest.mark.parametrize("send", [send_plain, send_shared])
async def test_nothing_is_sent_to_a_client_that_has_sent_a_close_frame(send: Tell) -> None:
    met: asyncio.Queue[str] = asyncio.Queue()
    may_send = asyncio.Event()

    async def talk(websocket: WebSocket) -> None:
        await may_send.wait()
        try:
            while True:
                await send(websocket, SharedText("news"))
                await asyncio.sleep(0)
        except Exception as error:  # the test reads it
            met.put_nowait(type(error).__name__)
            raise

    async with serving(talk) as port, raw_socket(port, path="/ws") as peer:
        await peer.send(frame(b"\x03\xe8", opcode=CLOSE))
        assert (await peer.next_frame()).opcode == CLOSE
        may_send.set()

        assert await asyncio.wait_for(met.get(), DEADLINE_SECONDS) == "WebSocketDisconnect"
        await peer.ended()


@pytest.mark.parametrize("content", [{"text": "news"}, {"texts": [SharedText("news")]}])
async def test_nothing_is_sent_after_our_own_close_frame(content: dict[str, object]) -> None:
    met: asyncio.Queue[str] = asyncio.Queue()

    async def talk(websocket: WebSocket) -> None:
        send = websocket._send  # noqa: SLF001 - Starlette itself would refuse, and the protocol is what is tested
        await websocket.close()
        try:
            await send({"type": "websocket.send", **content})
        except RuntimeError as error:
            met.put_nowait(type(error).__name__)

    async with serving(talk) as port, raw_socket(port, path="/ws") as peer:
        assert (await peer.next_frame()).opcode == CLOSE
        assert await asyncio.wait_for(met.get(), DEADLINE_SECONDS) == "RuntimeError"
        await peer.send(frame(b"\x03\xe8", opcode=CLOSE))
        assert not await rest_of(peer)


async def rest_of(peer: RawSocket) -> bytes:
    """Return everything until the connection ends."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await peer.reader.read()


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[int]:
    """Serve a websocket at /ws with that conversation after its acceptance; yield its port."""

    async def accept(websocket: WebSocket) -> None:
        await websocket.accept()
        await talk(websocket)

    async def root(_request: Request) -> Response:
        return PlainTextResponse("up")

    port = free_port()
    task = asyncio.create_task(
        serve(
            Starlette(routes=[Route("/", root), WebSocketRoute("/ws", accept)]),
            host="127.0.0.1",
            port=port,
            stop_within_seconds=DEADLINE_SECONDS,
            http_limits=HttpLimits(connections_max=100),
            websocket_limits=WebSocketLimits(message_max_bytes=65_536),
        )
    )
    await asyncio.sleep(0)  # It listens from here on.
    try:
        yield port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
