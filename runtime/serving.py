"""Serves an ASGI application inside a process that has other work too, with every uvicorn option written out."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

WEBSOCKET_PING_SECONDS = 15.0
WEBSOCKET_FRAMES_MAX = 16
KEEP_ALIVE_SECONDS = 5
BACKLOG_CONNECTIONS = 2048


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    application: ASGIApp,
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    stop_within_seconds: float,
    message_max_bytes: int,
    connections_max: int | None = None,
) -> None:
    """Serve until `stop` is set, then finish what is open within the bound. Raises OSError when the port is taken."""
    options: dict[str, Any] = {
        "loop": "none",
        "http": "httptools",
        "ws": "websockets-sansio",
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
    server = _Server(uvicorn.Config(application, **options))
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        serving.cancel()
