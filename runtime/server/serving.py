"""Serves an ASGI application inside a process that has other work too, with every uvicorn option written out."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.server.http_connections import HttpConnections, HttpLimits
from runtime.server.http_protocol import HttpProtocol
from runtime.server.listening import listen
from runtime.server.servers import PacedServer, Server
from runtime.server.websocket_protocol import WebSocketLimits, WebSocketProtocol

BACKLOG_CONNECTIONS = 2048
LISTENING_SOCKETS = 8
"""libuv accepts one connection of a listening socket in an iteration of its loop, however many wait. Under load an
iteration takes some milliseconds, and the last of 256 new clients waited for 0.8 s. So the same socket is passed
several times."""


async def nothing_to_drain() -> None:
    """Do nothing, for an application without connections to drain."""


def nothing_to_say() -> None:
    """Do nothing, for an application that does not report that it listens."""


def nothing_to_count() -> None:
    """Do nothing, for an application that does not count refusals."""


async def serve(
    application: ASGIApp,
    *,
    host: str,
    port: int,
    port_setting: str = "PORT",
    host_setting: str = "HOST",
    stop_within_seconds: float,
    http_limits: HttpLimits,
    websocket_limits: WebSocketLimits | None = None,
    opened: Callable[[], None] = nothing_to_say,
    drain: Callable[[], Awaitable[None]] = nothing_to_drain,
    refused: Callable[[], None] = nothing_to_count,
    malformed: Callable[[], None] = nothing_to_count,
) -> None:
    """Serve until cancelled; then drain, stop accepting, and finish open requests within the bound.

    `opened` is called once clients can connect.

    While it drains it still serves. Without `websocket_limits` there are no websockets. `refused` is called for each
    connection beyond `http_limits`, `malformed` for each malformed request. Raises SettingsError when it cannot listen
    there, naming `port_setting` and `host_setting`.
    """
    pace = http_limits.connections_per_second
    listening = listen(
        host=host, port=port, setting=port_setting, host_setting=host_setting, backlog=pace or BACKLOG_CONNECTIONS
    )
    opened()
    answering = _AnswersCancelled(application)
    options: dict[str, Any] = {
        "loop": "none",
        "http": partial(
            HttpProtocol, all_connections=HttpConnections(http_limits, refused=refused, malformed=malformed)
        ),
        "ws": partial(WebSocketProtocol, limits=websocket_limits) if websocket_limits else "none",
        "lifespan": "off",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "date_header": True,
        "proxy_headers": False,
        "ws_max_size": websocket_limits.message_max_bytes if websocket_limits else 0,
        "ws_ping_interval": websocket_limits.ping_seconds if websocket_limits else None,
        "ws_ping_timeout": websocket_limits.ping_seconds if websocket_limits else None,
        # Twice the memory for each socket, and no gain on small frames.
        "ws_per_message_deflate": False,
        "limit_concurrency": None,
        # A pipelined request is begun by the task of the one before it, and would be logged under that one's id.
        "reset_contextvars": True,
        "backlog": BACKLOG_CONNECTIONS,
        "timeout_keep_alive": http_limits.keep_alive_seconds,
        "timeout_graceful_shutdown": max(1, int(stop_within_seconds)),
    }
    config = uvicorn.Config(answering, **options)
    if pace is None:
        server = Server(config)
        accepting = [listening, *(listening.dup() for _ in range(LISTENING_SOCKETS - 1))]
    else:
        server, accepting = PacedServer(config, connections_per_second=pace), [listening]
    serving = asyncio.create_task(server.serve(sockets=accepting))
    try:
        await asyncio.shield(serving)
    finally:
        if not serving.done():
            await drain()
            answering.is_stopping = True
            server.should_exit = True
            await serving


class _AnswersCancelled:
    """The application, with a 503 for the requests that uvicorn cancels when `stop_within_seconds` is over.

    Without it each of them would be logged as an error of the application, and answered with 500.
    """

    def __init__(self, application: ASGIApp) -> None:
        self.is_stopping = False
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._application(scope, receive, send)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self.is_stopping or task is None:
                raise
            task.uncancel()
            if scope["type"] == "http":
                # uvicorn raises when the response has begun already.
                with contextlib.suppress(RuntimeError):
                    await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
                    await send({"type": "http.response.body", "body": b""})
