"""uvicorn's HTTP with bounds on its connections: how many there are, and how long one may be waited for.

uvicorn waits for ever for the rest of a request and for a peer to read its answer; and its own limit of connections
counts websockets too, and turns requests away while whoever sends nothing stays.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.server.answer_cycle import AnswerCycle
from runtime.server.cut_off import cut_off
from runtime.server.handshakes import Handshakes
from runtime.server.stalled import StalledPeer

PIPELINED_MAX = 16
"""Requests that may wait behind the one that is served; more are a flood, no client."""
TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 71\r\n"
    b"retry-after: 1\r\n"
    b"connection: close\r\n"
    b"\r\n"
    b"This process has as many connections as it may. Try again a bit later.\n"
)
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 53\r\n"
    b"connection: close\r\n"
    b"\r\n"
    b"The request has more or longer headers than it may.\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How many connections there may be, how large a request's head, how long one may take to send a whole request and
    to read its answer, how long it is kept without one, and how many may become websockets in a second."""

    connections_max: int
    upgrades_per_second: int = 1_000
    head_max_bytes: int = 65_536
    headers_max: int = 100
    request_seconds: float = 10.0
    stalled_seconds: float = 10.0
    keep_alive_seconds: float = 75.0


class Connections:
    """The HTTP connections of a server. Those from which a request is awaited stand in the order in which they wait.

    It counts TCP connections until they become websockets; from then on they are in `graph.websocket.open_sockets`.
    """

    def __init__(self, limits: HttpLimits, *, refused: Callable[[], None]) -> None:
        """`refused` hears of each connection that is turned away, or cut to make room."""
        self.limits = limits
        self.handshakes = Handshakes(per_second=limits.upgrades_per_second)
        self._refused = refused
        self._waiting: dict[HttpProtocol, None] = {}
        self._served: set[HttpProtocol] = set()

    def admit(self, connection: "HttpProtocol") -> bool:
        """Count it. When there are too many, the one that has waited longest is cut; False when none waits."""
        if len(self._waiting) + len(self._served) >= self.limits.connections_max:
            self._refused()
            if not self._waiting:
                return False
            oldest = next(iter(self._waiting))
            self.forget(oldest)
            cut_off(oldest.transport)
        self._waiting[connection] = None
        return True

    def is_waiting(self, connection: "HttpProtocol") -> bool:
        """Whether a request of it is awaited."""
        return connection in self._waiting

    def serve(self, connection: "HttpProtocol") -> None:
        """Its request has arrived."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._served.add(connection)

    def wait(self, connection: "HttpProtocol") -> None:
        """Its request was answered."""
        if connection in self._served:
            self._served.discard(connection)
            self._waiting[connection] = None

    def forget(self, connection: "HttpProtocol") -> None:
        """It is gone, or no longer HTTP."""
        self._waiting.pop(connection, None)
        self._served.discard(connection)


class HeadTooLargeError(Exception):
    """Ends the parsing of a request whose head is beyond its limits."""


class PipelineTooLongError(Exception):
    """Ends the parsing of requests that were sent behind each other without end."""


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, all_connections: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._all = all_connections
        self._limits = all_connections.limits
        self._arrival_timer: asyncio.TimerHandle | None = None
        self._stalled = StalledPeer(seconds=self._limits.stalled_seconds)
        self._has_left = False
        self._is_arriving = False
        self._head_bytes = 0
        self._unparsed_bytes = 0
        self._refusal: Exception | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self._all.admit(self):
            self._await_request()
        else:
            transport.write(TOO_MANY_CONNECTIONS)
            transport.close()

    def data_received(self, data: bytes) -> None:
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._has_left or self.transport.is_closing():
            return
        # The parser keeps an unfinished header, and tells of it at its end.
        if self._unparsed_bytes > self._limits.head_max_bytes:
            self._refusal = HeadTooLargeError()
            self.send_400_response("")
        elif self._arrival_timer is None and self._all.is_waiting(self):
            self._await_request()

    def on_message_begin(self) -> None:
        self._is_arriving = True
        self._head_bytes = 0
        self._unparsed_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._unparsed_bytes = 0
        self._head_bytes += len(url)
        if self._head_bytes > self._limits.head_max_bytes:
            self._refuse(HeadTooLargeError())

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._unparsed_bytes = 0
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self._limits.head_max_bytes or len(self.headers) > self._limits.headers_max:
            self._refuse(HeadTooLargeError())

    def on_headers_complete(self) -> None:
        self._unparsed_bytes = 0
        if len(self.pipeline) >= PIPELINED_MAX:
            self._refuse(PipelineTooLongError())
        super().on_headers_complete()
        # uvicorn names the class of its cycle in the midst of that method. An upgrade has none.
        if self.cycle is not None:
            self.cycle.__class__ = AnswerCycle

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_arriving = False
        self._unparsed_bytes = 0
        # What was refused before it had arrived whole leaves the connection waiting.
        is_upgrade = self.parser.should_upgrade() and self._should_upgrade()
        if not is_upgrade and not self.cycle.response_complete:
            self._stop_awaiting()
            self._all.serve(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._has_left:
            return
        super().on_response_complete()
        # A request may have been sent behind the other, and be here already, whole or in part.
        if self.cycle.response_complete or self.cycle.more_body:
            self._all.wait(self)
            if self._is_arriving:
                self._await_request()

    def send_400_response(self, msg: str) -> None:
        match self._refusal:
            case None:
                super().send_400_response(msg)
            case HeadTooLargeError():
                self.transport.write(HEAD_TOO_LARGE)
                self.transport.close()
            case _:
                # An answer would be taken for that of a request before.
                cut_off(self.transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled.begin(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled.end()

    def handle_websocket_upgrade(self) -> None:
        if bool(self.cycle) and not self.cycle.response_complete:
            # Its answer would be written into the websocket.
            self._leave()
            cut_off(self.transport)
            return
        # Until its turn it is a connection like any other from which a request is awaited: the oldest make room.
        self.flow.pause_reading()
        self._all.handshakes.enter(self.client[0] if self.client else "", self._upgrade)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _upgrade(self) -> bool:
        if self._has_left or self.transport.is_closing():
            return False
        self.flow.resume_reading()
        self._leave()
        try:
            super().handle_websocket_upgrade()
        except Exception:
            # Behind a timer nobody else would end it, and it is not among those that are cut when they take too long.
            cut_off(self.transport)
            raise
        # They hold each other: without this what is left of every socket would wait for the garbage collector.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does at the end of a connection
        return True

    def _refuse(self, refusal: Exception) -> None:
        """Stop the parser; uvicorn asks for the answer then."""
        self._refusal = refusal
        raise refusal

    def _await_request(self) -> None:
        self._stop_awaiting()
        self._arrival_timer = self.loop.call_later(self._limits.request_seconds, cut_off, self.transport)

    def _stop_awaiting(self) -> None:
        if self._arrival_timer is not None:
            self._arrival_timer.cancel()
            self._arrival_timer = None

    def _leave(self) -> None:
        self._has_left = True
        self._stop_awaiting()
        self._stalled.end()
        self._unset_keepalive_if_required()
        self._all.forget(self)
