"""Many websockets that only listen: opened, introduced, and then counted frame by frame, without a task for each.

A server's frames are unmasked; text frames are counted, pings are answered, anything else ends the load.
"""

import asyncio
import itertools
import time
from array import array
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

HEAD_END = b"\r\n\r\n"
SWITCHED = b"HTTP/1.1 101"
KEY = b64encode(b"sixteen bytes...").decode()
TEXT, CLOSE, PING = 0x1, 0x8, 0x9
FINAL, MASKED = 0x80, 0x80
LENGTH_16, LENGTH_64 = 126, 127
NO_MASK = bytes(4)
"""A mask of zeros: RFC 6455 asks for one, and this one changes nothing."""
OPENED_AT_ONCE = 100
OPEN_TIMEOUT_SECONDS = 60.0


@dataclass(slots=True)
class Sockets:
    """The open sockets of the load generator."""

    listeners: "list[_Listener]" = field(default_factory=list)
    heard: int = 0
    wanted: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str = ""

    async def listen(self, *, port: int, says: list[list[str]], count: int, opening: int) -> dict[str, Any]:
        """Open that number of additional sockets. Each sends the next of the lists of messages, and is open once it
        has received the `opening` frames.
        """
        new = [_Listener(self, port=port, opening=opening) for _ in range(count)]
        for listener, messages in zip(new, itertools.cycle(says), strict=False):
            listener.messages = messages
        loop = asyncio.get_running_loop()
        for start in range(0, count, OPENED_AT_ONCE):
            some = new[start : start + OPENED_AT_ONCE]
            for listener in some:
                await loop.create_connection(partial(_itself, listener), "127.0.0.1", port)
            async with asyncio.timeout(OPEN_TIMEOUT_SECONDS):
                await asyncio.gather(*(listener.is_open for listener in some))
        self.listeners += new
        return {"count": len(self.listeners)}

    async def reset(self) -> dict[str, Any]:
        """Count from here."""
        self.heard = 0
        for listener in self.listeners:
            del listener.times[:]
        return {}

    async def hear(self, *, wanted: int, within_seconds: float) -> dict[str, Any]:
        """Wait until all sockets together have received that number of frames since the last reset; return when
        each socket received each of its own, by the machine's monotonic clock.
        """
        self.wanted = wanted
        self.enough.clear()
        self._look()
        try:
            async with asyncio.timeout(within_seconds):
                await self.enough.wait()
        except TimeoutError:
            self.failure = self.failure or f"heard {self.heard} frames of {self.wanted} within {within_seconds} s"
        return {
            "error": self.failure,
            "errors": int(bool(self.failure)),
            "times": [listener.times.tolist() for listener in self.listeners],
            "last": next((listener.last for listener in self.listeners if listener.last), b"").decode(),
        }

    async def leave(self) -> dict[str, Any]:
        """Cut all of them."""
        for listener in self.listeners:
            listener.leave()
        self.listeners.clear()
        return {}

    def note(self) -> None:
        self.heard += 1
        self._look()

    def _look(self) -> None:
        if self.failure or self.heard >= self.wanted:
            self.enough.set()

    def fail(self, failure: str) -> None:
        self.failure = self.failure or failure
        self.enough.set()


class _Listener(asyncio.Protocol):
    def __init__(self, sockets: Sockets, *, port: int, opening: int) -> None:
        self.messages: Sequence[str] = ()
        self.times = array("d")
        self.last = b""
        self.is_open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sockets = sockets
        self._port = port
        self._opening = opening
        self._received = b""
        self._is_switched = False
        self._has_left = False
        self._transport: asyncio.WriteTransport | None = None

    def leave(self) -> None:
        self._has_left = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._has_left:
            self._fail(f"a socket was lost: {exc!r}")

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if not self._is_switched:
            self._switch()
        while self._is_switched and (frame := self._next_frame()) is not None:
            self._hear(*frame)

    def _switch(self) -> None:
        head, end, rest = self._received.partition(HEAD_END)
        if not end:
            return
        if not head.startswith(SWITCHED):
            self._fail(head.decode(errors="replace"))
            return
        self._is_switched, self._received = True, rest
        for message in self.messages:
            self._send(TEXT, message.encode())
        self._note_opening()

    def _next_frame(self) -> tuple[int, bytes] | None:
        received = self._received
        if len(received) < 2:  # noqa: PLR2004  # RFC 6455, 5.2: two bytes contain the kind and the length.
            return None
        length, start = received[1], 2
        if length == LENGTH_16:
            length, start = int.from_bytes(received[2:4], "big"), 4
        elif length == LENGTH_64:
            length, start = int.from_bytes(received[2:10], "big"), 10
        if len(received) < start + length:
            return None
        self._received = received[start + length :]
        return received[0] & 0x0F, received[start : start + length]

    def _hear(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self._send(0xA, payload)
        elif kind != TEXT:
            self._fail(f"a frame of kind {kind}: {payload[:200]!r}")
        elif self._opening > 0:
            self._opening -= 1
            self._note_opening()
        else:
            self.times.append(time.perf_counter())
            self.last = payload
            self._sockets.note()

    def _note_opening(self) -> None:
        if self._opening == 0 and not self.is_open.done():
            self.is_open.set_result(None)

    def _send(self, kind: int, payload: bytes) -> None:
        if self._transport is None:
            return
        if len(payload) < LENGTH_16:
            head = bytes((FINAL | kind, MASKED | len(payload)))
        else:
            head = bytes((FINAL | kind, MASKED | LENGTH_16)) + len(payload).to_bytes(2, "big")
        self._transport.write(head + NO_MASK + payload)

    def _fail(self, failure: str) -> None:
        self._sockets.fail(failure)
        if not self.is_open.done():
            self.is_open.set_exception(ConnectionError(failure))


def _itself(listener: _Listener) -> _Listener:
    return listener
