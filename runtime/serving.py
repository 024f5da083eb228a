"""Serves an ASGI application inside a process that has other work too, with every uvicorn option written out."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

WEBSOCKET_PING_SECONDS = 15.0
WEBSOCKET_FRAMES_MAX = 16
WEBSOCKET_CLOSE_SECONDS = 2.0
KEEP_ALIVE_SECONDS = 5
BACKLOG_CONNECTIONS = 2048


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's websocket, whose connection ends soon after the application is done with it.

    uvicorn closes a transport, and that waits until everything is sent: to a peer that does not read, for ever.
    """

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(WEBSOCKET_CLOSE_SECONDS, self.transport.abort)

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            # A refusal is an answer to the handshake too; uvicorn would log it as an error of the application.
            self.handshake_complete = True


async def nothing_to_drain() -> None:
    """For an application whose connections need no farewell."""


async def serve(
    application: ASGIApp,
    *,
    host: str,
    port: int,
    stop_within_seconds: float,
    message_max_bytes: int,
    connections_max: int | None = None,
    drain: Callable[[], Awaitable[None]] = nothing_to_drain,
) -> None:
    """Serve until cancelled; then drain, accept no more, and finish what is open within the bound.

    While it drains it serves as before. Raises OSError when the port is taken.
    """
    guarded = _CutOff(application)
    options: dict[str, Any] = {
        "loop": "none",
        "http": "httptools",
        "ws": _WebSocketProtocol,
        "lifespan": "off",
        "host": host,
        "port": port,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "date_header": True,
        "proxy_headers": False,
        "ws_max_size": message_max_bytes,
        "ws_max_queue": WEBSOCKET_FRAMES_MAX,
        "ws_ping_interval": WEBSOCKET_PING_SECONDS,
        "ws_ping_timeout": WEBSOCKET_PING_SECONDS,
        # Twice the memory for each socket, and no gain on small frames.
        "ws_per_message_deflate": False,
        "limit_concurrency": connections_max,
        "backlog": BACKLOG_CONNECTIONS,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": max(1, int(stop_within_seconds)),
    }
    server = _Server(uvicorn.Config(guarded, **options))
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    finally:
        if not serving.done():
            await drain()
            guarded.is_stopping = True
            server.should_exit = True
            await serving


class _CutOff:
    """The application, with an answer for the requests that uvicorn cancels at the end of its patience.

    Without it each of them would be logged as an error of the application, and its client told so.
    """

    def __init__(self, application: ASGIApp) -> None:
        self.is_stopping = False
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._application(scope, receive, note)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self.is_stopping or task is None:
                raise
            task.uncancel()
            if scope["type"] == "http" and not has_begun:
                await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
                await send({"type": "http.response.body", "body": b""})
