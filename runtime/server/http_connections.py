"""The HTTP connections of one server: how many there may be, and which is reset to make room."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from runtime.server.handshakes import Handshakes
from runtime.server.stalled_peer import reset_connection


class HttpConnection(Protocol):
    """One connection of the server; `transport` is what is reset to make room."""

    transport: asyncio.Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The limits of one server: connections, upgrades to websockets, size of a request's head, and time-outs.

    Without `connections_per_second` every connection is accepted immediately. `request_seconds` is for sending a whole
    request, `stalled_seconds` for reading the response, `keep_alive_seconds` for the time between two requests; 0 ends
    a connection with its first response.
    """

    connections_max: int
    connections_per_second: int | None = None
    upgrades_per_second: int = 1_000
    head_max_bytes: int = 65_536
    headers_max: int = 100
    request_seconds: float = 10.0
    stalled_seconds: float = 10.0
    keep_alive_seconds: float = 75.0


class HttpConnections:
    """The HTTP connections of a server. Those from which a request is awaited are ordered by how long they wait.

    It counts TCP connections until they become websockets; from then on they are in `graph.websocket.open_sockets`.
    """

    def __init__(self, limits: HttpLimits, *, refused: Callable[[], None], malformed: Callable[[], None]) -> None:
        """`refused` is called for each connection that is refused, or reset to make room; `malformed` for each request
        that the application never sees."""
        self.limits = limits
        self.count_malformed = malformed
        self.handshakes = Handshakes(per_second=limits.upgrades_per_second)
        self._refused = refused
        self._waiting: dict[HttpConnection, None] = {}
        self._served: set[HttpConnection] = set()

    def admit(self, connection: HttpConnection) -> bool:
        """Add a connection. At the limit the one that has waited longest is reset; return False when none waits."""
        if len(self._waiting) + len(self._served) >= self.limits.connections_max:
            self._refused()
            if not self._waiting:
                return False
            oldest = next(iter(self._waiting))
            self.forget(oldest)
            reset_connection(oldest.transport)
        self._waiting[connection] = None
        return True

    def is_waiting(self, connection: HttpConnection) -> bool:
        """Return whether a request of it is awaited."""
        return connection in self._waiting

    def serve(self, connection: HttpConnection) -> None:
        """Note that its request has arrived."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._served.add(connection)

    def wait(self, connection: HttpConnection) -> None:
        """Note that its request was answered."""
        if connection in self._served:
            self._served.discard(connection)
            self._waiting[connection] = None

    def forget(self, connection: HttpConnection) -> None:
        """Remove a connection that has ended or is a websocket now."""
        self._waiting.pop(connection, None)
        self._served.discard(connection)
