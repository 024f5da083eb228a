"""uvicorn's HTTP with bounds: on the number of connections, on the size of a request, on every wait for a peer.

uvicorn waits without a time-out for the rest of a request and for a peer to read its response; its own limit of
connections counts websockets too, and refuses requests while idle connections stay.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.server.answer_cycle import AnswerCycle
from runtime.server.http_connections import HttpConnections
from runtime.server.stalled_peer import StalledPeer, reset_connection

PIPELINED_MAX = 16
"""Requests that may wait behind the one that is served; no client sends more."""
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


class HeadTooLargeError(Exception):
    """Raised in the parser: the head of a request is beyond its limits."""


class PipelineTooLongError(Exception):
    """Raised in the parser: more than PIPELINED_MAX requests wait behind each other."""


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, all_connections: HttpConnections, **options: Any) -> None:
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
        # The parser keeps an unfinished header, and reports it when it is complete.
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
        # A request that was refused before it had arrived whole leaves the connection waiting.
        is_upgrade = self.parser.should_upgrade() and self._should_upgrade()
        if not is_upgrade and not self.cycle.response_complete:
            self._stop_awaiting()
            self._all.serve(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._has_left:
            return
        super().on_response_complete()
        # A pipelined request may have arrived already, whole or in part.
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
                # A response would be taken for that of an earlier request.
                reset_connection(self.transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled.start(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled.stop()

    def handle_websocket_upgrade(self) -> None:
        if bool(self.cycle) and not self.cycle.response_complete:
            # Its response would be written into the websocket.
            self._leave()
            reset_connection(self.transport)
            return
        # Until then it is a connection like any other from which a request is awaited.
        self.flow.pause_reading()
        self._all.handshakes.schedule(self.client[0] if self.client else "", self._upgrade)

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
            # Called by a timer, nothing else would end it, and no time-out holds for it any more.
            reset_connection(self.transport)
            raise
        # They hold each other: without this what is left of every socket would wait for the garbage collector.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does at the end of a connection
        return True

    def _refuse(self, refusal: Exception) -> None:
        """Stop the parser; uvicorn calls send_400_response then."""
        self._refusal = refusal
        raise refusal

    def _await_request(self) -> None:
        self._stop_awaiting()
        self._arrival_timer = self.loop.call_later(self._limits.request_seconds, reset_connection, self.transport)

    def _stop_awaiting(self) -> None:
        if self._arrival_timer is not None:
            self._arrival_timer.cancel()
            self._arrival_timer = None

    def _leave(self) -> None:
        self._has_left = True
        self._stop_awaiting()
        self._stalled.stop()
        self._unset_keepalive_if_required()
        self._all.forget(self)
