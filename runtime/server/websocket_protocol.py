"""uvicorn's websocket with bounds on the cost of a client: frames a second, fragments, time to read, time to close.

uvicorn bounds the size of a message and nothing else. Each frame is parsed before the application receives it, and is
queued without a limit; and a closing transport waits until everything is sent, which never happens with a client that
does not read. RFC 6455 leaves all this to the implementation (10.4).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from domain.services.token_bucket import TokenBucket
from graph.engine.shared_text import SHARED_TEXTS, SharedText
from runtime.server.stalled_peer import StalledPeer, reset_connection

CLOSE_SECONDS = 2.0
"""How long a peer may take to answer a close frame; then its connection is reset."""
SLICE_BYTES = 4_096
"""How much is parsed before frames are counted: at six bytes for the shortest, 682 of them, some milliseconds."""
FRAGMENTS_MAX = 1_024
TOO_MANY_FRAMES = 4429
PEER_SILENT = 1001
"""Not 1011, which is uvicorn's: clients take that for final, and a laptop that was asleep could not resume."""
NO_HANDSHAKE = (
    b"HTTP/1.1 400 Bad Request\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 75\r\n"
    b"connection: close\r\n"
    b"\r\n"
    b"A websocket's handshake has no body, and lines of at most 8192 characters.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketLimits:
    """What one peer may do. Frames are messages (or pieces of them) and control frames alike. `ping_seconds` is the
    pause between two pings, and the time for the answer to each."""

    message_max_bytes: int
    frames_per_second: int = 200
    frames_burst: int = 400
    stalled_seconds: float = 12.0
    ping_seconds: float = 15.0
    flood_close_delay_seconds: float = 1.0
    """Before a socket that sent too much is closed; until then nothing of it is read."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection. A failure is sent to the peer as a close frame, and to the application as a disconnect."""

    def __init__(self, *arguments: Any, limits: WebSocketLimits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._budget = TokenBucket(per_second=limits.frames_per_second, burst=limits.frames_burst, now=self.loop.time())
        self._has_failed = False
        self._is_flooding = False
        self._stalled = StalledPeer(seconds=limits.stalled_seconds)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), SLICE_BYTES):
            # After a close frame the client's bytes are read and dropped: unread ones would reset the connection, and
            # the close frame would be lost.
            if not self._has_failed and not self._is_flooding:
                super().data_received(data[start : start + SLICE_BYTES])
                if self.conn.handshake_exc is not None and not self.handshake_initiated:
                    self._refuse_handshake()

    def shutdown(self) -> None:
        # uvicorn assumes that every connection is open or in its handshake; an error here would abort the whole stop.
        self.loop.call_later(CLOSE_SECONDS, self._reset)
        if self._has_failed or (self.handshake_complete and self.conn.state is not State.OPEN):
            self.stop_keepalive()
            self.transport.close()
        else:
            super().shutdown()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS and (extensions := self.scope["extensions"]):
            extensions[SHARED_TEXTS] = {}

    def handle_events(self) -> None:
        if self._budget.take(len(self.conn.events), now=self.loop.time()):
            super().handle_events()
        else:
            self._end_flood()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < FRAGMENTS_MAX:
            super().handle_cont(event)
        else:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"A message may have {FRAGMENTS_MAX} fragments")

    def handle_ping(self) -> None:
        # It may follow the frame that has failed the connection, in the same slice.
        if not self._has_failed and not self._is_flooding:
            super().handle_ping()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self._fail(CloseCode.INVALID_DATA, "A text message must be UTF-8")
        elif not self._has_failed:
            super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        self._fail(CloseCode.PROTOCOL_ERROR, "")

    def keepalive_timeout(self) -> None:
        self._fail(PEER_SILENT, "No answer to a ping")

    def pause_writing(self) -> None:
        super().pause_writing()
        # The application has its own deadline; this one is for a client to which only pongs are written.
        self._stalled.start(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stalled.stop()
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:  # noqa: ANN401 - uvicorn has no public name for its type
        if self._has_failed:
            raise ClientDisconnected
        if (texts := message.get("texts")) is not None:
            await self._send_texts(texts)
            return
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            # A refusal answers the handshake too; uvicorn would log it as an error of the application.
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(CLOSE_SECONDS, self._reset)

    async def _send_texts(self, texts: Sequence[SharedText]) -> None:
        await self.writable.wait()
        if self._has_failed:
            raise ClientDisconnected
        if self._may_send_frames:
            # One system call for all: one for each frame costs more than the rest of the work.
            self.transport.write(b"".join([_frame(text) for text in texts]))
            return
        for text in texts:
            await super().send({"type": "websocket.send", "text": text})

    @property
    def _may_send_frames(self) -> bool:
        """Return whether uvicorn would send a text now as one frame."""
        return self.conn.state is State.OPEN and not self.close_sent and not self.disconnected

    def _refuse_handshake(self) -> None:
        """Answer 400: httptools treated the request as an upgrade; websockets cannot parse it and does not answer."""
        self._has_failed = True
        self.close_sent = True
        self.transport.write(NO_HANDSHAKE)
        self.transport.close()
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self._reset)

    def _end_flood(self) -> None:
        """Drop the received frames, stop reading, and close later: a client that reconnects immediately must gain
        nothing.
        """
        self._is_flooding = True
        while not self.queue.empty():
            self.queue.get_nowait()
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()
        reason = f"More than {self._limits.frames_per_second} messages a second"
        self.loop.call_later(self._limits.flood_close_delay_seconds, self._fail, TOO_MANY_FRAMES, reason)

    def _fail(self, code: int, reason: str) -> None:
        """Close with this code, unless the parser has chosen one, and stop reading."""
        if self._has_failed or self.disconnected:
            return
        self._has_failed = True
        self.stop_keepalive()
        self.conn.fail(code, reason)
        sent = self.conn.close_sent
        self.queue.put_nowait({"type": "websocket.disconnect", "code": sent.code if sent else code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.transport.can_write_eof():
            # The client may have disconnected while reading was paused.
            with suppress(OSError):
                self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self._reset)

    def _reset(self) -> None:
        if not self.disconnected:
            reset_connection(self.transport)


def _frame(text: SharedText) -> bytes:
    if text.frame is None:
        text.frame = Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
    return text.frame


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
