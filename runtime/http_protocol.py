"""uvicorn's HTTP with bounds on its connections: how many there are, and how long one may be waited for.

uvicorn waits for ever for the rest of a request and for a peer to read its answer; and its own limit of connections
counts websockets too, and turns requests away while whoever sends nothing stays.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.cut_off import cut_off

TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 71\r\n"
    b"retry-after: 1\r\n"
    b"connection: close\r\n"
    b"\r\n"
    b"This process has as many connections as it may. Try again a bit later.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How many connections there may be, and how long one may take to send a whole request, and to read its answer."""

    connections_max: int
    request_seconds: float = 10.0
    stalled_seconds: float = 10.0


class Connections:
    """The HTTP connections of a server. Those from which a request is awaited stand in the order in which they wait."""

    def __init__(self, limits: HttpLimits) -> None:
        self.limits = limits
        self._waiting: dict[HttpProtocol, None] = {}
        self._served: set[HttpProtocol] = set()

    def admit(self, connection: "HttpProtocol") -> bool:
        """Count it. When there are too many, the one that has waited longest is cut; False when none waits."""
        if len(self._waiting) + len(self._served) >= self.limits.connections_max:
            if not self._waiting:
                return False
            oldest = next(iter(self._waiting))
            self.forget(oldest)
            cut_off(oldest.transport)
        self._waiting[connection] = None
        return True

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


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, all_connections: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._all = all_connections
        self._arrival_timer: asyncio.TimerHandle | None = None
        self._stalled_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self._all.admit(self):
            self._await_request()
        else:
            transport.write(TOO_MANY_CONNECTIONS)
            transport.close()

    def on_message_complete(self) -> None:
        # What was refused before it had arrived whole leaves the connection waiting.
        is_upgrade = self.parser.should_upgrade() and self._should_upgrade()
        if not is_upgrade and not self.cycle.response_complete:
            _cancel(self._arrival_timer)
            self._all.serve(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # A request may have been sent behind the other, and be here already.
        if self.cycle.response_complete or self.cycle.more_body:
            self._all.wait(self)
            self._await_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_timer = self.loop.call_later(self._all.limits.stalled_seconds, cut_off, self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._stalled_timer)

    def handle_websocket_upgrade(self) -> None:
        self._leave()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        _cancel(self._arrival_timer)
        self._arrival_timer = self.loop.call_later(self._all.limits.request_seconds, cut_off, self.transport)

    def _leave(self) -> None:
        _cancel(self._arrival_timer)
        _cancel(self._stalled_timer)
        self._all.forget(self)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
