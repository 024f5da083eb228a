"""uvicorn's HTTP with bounds: on the number of connections, on the size of a request, on every wait for a client.

uvicorn waits without a time-out for the rest of a request and for a peer to read its response; its own limit of
connections counts websockets too, and refuses requests while idle connections remain. It answers requests that proxies
delimit differently, and drops the body of a request for an unsupported protocol.
"""

import asyncio
from typing import Any, NoReturn

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.server.http_connections import HttpConnections
from runtime.server.refusals import (
    FRAMING_NAMES,
    FRAMING_TOO_LARGE,
    HEAD_TOO_LARGE,
    MALFORMED,
    TOO_MANY_CONNECTIONS,
    fault_in_head,
)
from runtime.server.request_size import RequestSize
from runtime.server.stalled_peer import StalledPeer, reset_connection

PIPELINED_MAX = 16
"""Requests that may wait behind the one that is served; no client sends more."""
SLICE_BYTES = 16_384
"""How much is parsed before what is not content is counted."""
DISCARD_MAX_BYTES = 1_048_576
DISCARD_SECONDS = 2.0
"""How much is read behind a refusal: closing a connection whose client still sends would destroy the refusal."""


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
        self._is_head_read = False
        self._is_upgrading = False
        self._size = RequestSize()
        self._refusal: bytes | None = None
        self._discarded_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self._all.admit(self):
            self._await_request()
        else:
            transport.write(TOO_MANY_CONNECTIONS)
            transport.close()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()  # uvicorn's own timer, which its `data_received` would end.
        for start in range(0, len(data), SLICE_BYTES):
            part = data[start : start + SLICE_BYTES]
            if self._refusal is not None:
                self._discard(part)
            elif not (self._is_upgrading or self._has_left or self.transport.is_closing()):
                self._read(part)
        if self._arrival_timer is None and self._all.is_waiting(self):
            self._await_request()

    def on_message_begin(self) -> None:
        self._is_arriving, self._is_head_read = True, False
        self._size.restart()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._size.head_bytes += len(url)
        if self._size.head_bytes > self._limits.head_max_bytes:
            self._refuse(HEAD_TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_head_read:
            # A trailer must not be treated as a header (RFC 9110, section 6.5.1): no proxy has checked it.
            return
        super().on_header(name, value)
        self._size.head_bytes += len(name) + len(value)
        if self._size.head_bytes > self._limits.head_max_bytes or len(self.headers) > self._limits.headers_max:
            self._refuse(HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        framing = [header for header in self.headers if header[0] in FRAMING_NAMES]
        fault = fault_in_head(self.parser.get_method(), version, framing)
        if fault is not None:
            self._refuse(fault)
        if len(self.pipeline) >= PIPELINED_MAX:
            self._refuse(MALFORMED)
        if self.parser.should_upgrade() and not self._should_upgrade():
            # To another protocol than the websocket's: Java's client requests h2c with every request.
            return
        super().on_headers_complete()
        self._is_head_read = True
        # An upgrade has none.
        if self.cycle is not None:
            self.cycle.keep_alive &= self._limits.keep_alive_seconds > 0

    def on_body(self, body: bytes) -> None:
        self._size.content_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        is_upgrade = self.parser.should_upgrade()
        if is_upgrade and not self._should_upgrade():
            return
        self._is_arriving = self._is_head_read = False
        self._size.restart()
        # A request that was refused before it had arrived completely leaves the connection waiting.
        if not is_upgrade and not self.cycle.response_complete:
            self._stop_awaiting()
            self._all.serve(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._has_left:
            return
        super().on_response_complete()
        # A pipelined request may have arrived already, completely or in part.
        if self.cycle.response_complete or self.cycle.more_body:
            self._all.wait(self)
            if self._is_arriving:
                self._await_request()

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
        self._is_upgrading = True
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
            # When a timer calls it, nothing else would end it, and no time-out applies to it any more.
            reset_connection(self.transport)
            raise
        # They reference each other: without this the remains of every socket would wait for the garbage collector.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does at the end of a connection
        return True

    def _should_upgrade(self) -> bool:
        # Only HTTP/1.1 can upgrade (RFC 9110, section 7.8).
        return super()._should_upgrade() and self.parser.get_http_version() == "1.1"

    def _read(self, data: bytes) -> None:
        """Parse some bytes, and count those of a request that are not its content."""
        self._size.begin_slice()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._read_without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._answer_refusal(self._refusal or MALFORMED)
            return
        if not self._size.end_slice(len(data), other_max_bytes=self._limits.head_max_bytes):
            self._answer_refusal(FRAMING_TOO_LARGE if self._is_head_read else HEAD_TOO_LARGE)

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Parse the head again without Upgrade, and the rest with it: httptools treated the body as another
        protocol.
        """
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # As uvicorn does.
        self._read(b"".join((*lines, b"\r\n", rest)))

    def _refuse(self, refusal: bytes) -> NoReturn:
        # The parser stops then, and `_read` answers.
        self._refusal = refusal
        raise httptools.HttpParserError

    def _answer_refusal(self, refusal: bytes) -> None:
        """Send the refusal, stop reading requests, and end the connection when its client stops sending."""
        self._refusal = refusal
        self._all.count_malformed()
        own = self.cycle if self._is_arriving and self._is_head_read else None
        is_behind_another = own is None and bool(self.cycle) and not self.cycle.response_complete
        if self.pipeline or is_behind_another or (own is not None and own.response_started):
            # The refusal would be matched with an earlier request, or become a part of its response.
            reset_connection(self.transport)
            return
        if own is not None:
            own.disconnected = True
            own.waiting_for_100_continue = False
            own.message_event.set()
        self.transport.write(refusal)
        self.transport.write_eof()
        self.flow.resume_reading()
        self._stop_awaiting()
        self._arrival_timer = self.loop.call_later(DISCARD_SECONDS, reset_connection, self.transport)

    def _discard(self, data: bytes) -> None:
        self._discarded_bytes += len(data)
        if self._discarded_bytes > DISCARD_MAX_BYTES:
            reset_connection(self.transport)

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
