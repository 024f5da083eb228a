"""The websocket to the venue by the public interface of `websockets`, whose messages are taken some at once.

The library makes the handshake, answers pings and sends its own, bounds messages and its queue, and closes. What is
here lets whoever records the messages take together those that have come meanwhile. See docs/decisions/0020.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.tunnel import open_tunnel, tls_context

GATHERED_MAX = 32
"""Some tenths of a millisecond: whoever works beside the reader waits no longer. More wait in the library."""
_PORTS = {"ws": 80, "wss": 443}


@asynccontextmanager
async def open_stream_connection(settings: AlpacaSettings) -> AsyncIterator["StreamConnection"]:
    """Open the websocket, by the proxy where there is one. Raise WebSocketException or OSError."""
    async with asyncio.timeout(settings.stream_open_timeout_seconds):
        websocket = await _opened(settings)
    connection = StreamConnection(websocket)
    try:
        yield connection
    finally:
        await connection.close()


class StreamConnection:
    """An open websocket, read by one task. Messages are bytes, text ones too."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self._messages: deque[bytes] = deque()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._gathering = asyncio.create_task(self._gather())
        self._gathering.add_done_callback(lambda _: self._news.set())

    async def send(self, message: str) -> None:
        """Send a text message. Raise ConnectionClosed."""
        await self._websocket.send(message)

    async def next_messages(self, at_most: int = GATHERED_MAX) -> Sequence[bytes]:
        """Wait for a message, then take what there is. Raise ConnectionClosed behind the last one."""
        while not self._messages:
            if self._gathering.done():
                self._gathering.result()
            self._news.clear()
            await self._news.wait()
        taken = [self._messages.popleft() for _ in range(min(at_most, len(self._messages)))]
        self._room.set()
        return taken

    async def close(self) -> None:
        """Close it, for no longer than its time-out."""
        self._gathering.cancel()
        await asyncio.gather(self._gathering, return_exceptions=True)
        await self._websocket.close()

    async def _gather(self) -> None:
        """Take what comes until the websocket is closed; then raise ConnectionClosed."""
        while True:
            # Undecoded: one text that is no UTF-8 must not end the stream.
            self._messages.append(await self._websocket.recv(decode=False))
            self._news.set()
            while len(self._messages) >= GATHERED_MAX:
                self._room.clear()
                await self._room.wait()


class _connect_once(connect):  # noqa: N801 - a variant of a library's class that is used as a function
    """A connect that follows no redirect: the key must not be sent to another place than the configured one."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _opened(settings: AlpacaSettings) -> ClientConnection:
    url = urlsplit(settings.stream_url)
    tls = tls_context(settings) if url.scheme == "wss" else None
    tunnel = None
    if settings.proxy is not None:
        tunnel = await open_tunnel(settings.proxy, url.hostname or "", url.port or _PORTS[url.scheme])
    try:
        return await _connect_once(
            settings.stream_url,
            sock=tunnel,
            ssl=tls,
            proxy=None,  # That of the environment: ours has led to the socket.
            compression=None,
            open_timeout=None,
            close_timeout=settings.stream_close_timeout_seconds,
            ping_interval=settings.stream_ping_seconds,
            ping_timeout=settings.stream_ping_seconds,
            max_size=settings.stream_message_max_bytes,
            max_queue=settings.stream_queue_max_frames,
        )
    except BaseException:
        if tunnel is not None:
            tunnel.close()
        raise
