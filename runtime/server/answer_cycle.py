"""uvicorn's request-response cycle, with a single write for a complete response.

uvicorn writes head and body separately, with a system call each, and checks every header each time: together a tenth of
storing an order. Any unusual response is sent by uvicorn.
"""

from collections.abc import Sequence
from functools import lru_cache

from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

CACHED_HEADS_MAX = 512
"""Most differ only in their length, and all of them change once a second with the date."""
USUAL_STATUSES = frozenset(range(200, 600)) - {204, 304}
"""Of the others some have no body, and no length either."""
UNUSUAL_HEADERS = frozenset({b"connection", b"transfer-encoding"})


class AnswerCycle(RequestResponseCycle):
    """One request and its response, whose head is buffered until the first part of the body."""

    _head: HTTPResponseStartEvent | None = None

    async def send(self, message: ASGISendEvent) -> None:
        """Send an ASGI message."""
        if message["type"] == "http.response.start" and not self.response_started:
            self._head = message
            return
        head, self._head = self._head, None
        if head is not None:
            whole = self._as_one(head, message)
            if whole is not None:
                self._write(whole)
                return
            await super().send(head)
        await super().send(message)

    def _as_one(self, head: HTTPResponseStartEvent, message: ASGISendEvent) -> bytes | None:
        """Return the whole response; None when it is not complete, or unusual."""
        if message["type"] != "http.response.body" or message.get("more_body", False):
            return None
        if self.scope["method"] == "HEAD" or not self.keep_alive or head["status"] not in USUAL_STATUSES:
            return None
        if self.flow.write_paused or self.disconnected:
            return None
        body = message.get("body", b"")
        headers = (*self.default_headers, *head.get("headers", ()))
        written = _written(head["status"], headers, len(body))
        return None if written is None else written + body

    def _write(self, answer: bytes) -> None:
        """Write it, and set the state as uvicorn does after a finished response."""
        self.response_started = True
        self.waiting_for_100_continue = False
        self.transport.write(answer)
        self.response_complete = True
        self.message_event.set()
        self.on_response()


@lru_cache(maxsize=CACHED_HEADS_MAX)
def _written(status: int, headers: Sequence[tuple[bytes, bytes]], body_bytes: int) -> bytes | None:
    """Return a response's head as bytes; None for one that uvicorn has to check."""
    lines = [_header_line(name.lower(), value) for name, value in headers]
    if None in lines or lines.count(b"content-length: %d\r\n" % body_bytes) != 1:
        return None
    return b"".join((STATUS_LINE[status], *lines, b"\r\n"))  # type: ignore[arg-type]  # no None by now


def _header_line(name: bytes, value: bytes) -> bytes | None:
    if name in UNUSUAL_HEADERS or HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        return None
    return b"%s: %s\r\n" % (name, value)
