"""One websocket of the endpoint: strict JSON, and a time-out for each send.

The server itself never drops a client that stops reading: its keep-alive closes the transport, and that waits for the
write buffer. So each send has a time-out here, at which the socket ends and its resources are freed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketDisconnected as AlreadyDisconnected
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected

from graph.auth.tokens import TokenVerifier
from graph.context import Services
from graph.engine.shared_text import SHARED_TEXTS, SharedText
from graph.limits.request_rates import RequestRates
from graph.websocket.open_sockets import OpenSockets
from graph.websocket.send_timeout import with_timeout

CLOSE_REASON_MAX_BYTES = 123
STALLED = "the peer does not read"


class SocketView(Protocol):
    """What a socket and its handler use of the endpoint."""

    services: Services
    tokens: TokenVerifier
    rates: RequestRates
    sockets: OpenSockets

    def encode_json(self, data: object) -> str:
        """Return the data as JSON."""


class Socket(ASGIWebSocketAdapter):
    """One websocket whose sends have a deadline."""

    def __init__(self, view: SocketView, request: WebSocket, response: WebSocket) -> None:
        super().__init__(view, request, response)  # type: ignore[arg-type]  # its annotation lacks context types
        self._send_timeout_seconds = view.services.settings.socket_send_timeout_seconds
        self._owner = asyncio.current_task()
        self._telemetry = view.services.telemetry
        self._encode = view.encode_json
        self._is_stalled = False
        self._takes_texts = SHARED_TEXTS in (request.scope.get("extensions") or ())

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send, or reset the connection."""
        await self._send({"type": "websocket.send", "text": self._encode(message)})

    async def send_texts(self, texts: Sequence[SharedText]) -> None:
        """Send encoded JSON, in one write where the server supports it, or reset the connection."""
        if self._takes_texts:
            await self._send({"type": "websocket.send", "texts": texts})
            return
        for text in texts:
            await self._send({"type": "websocket.send", "text": text})

    async def _send(self, message: Message) -> None:
        try:
            await with_timeout(self._send_timeout_seconds, self.ws.send(message))
        except TimeoutError:
            self._cut_off()
            raise WebSocketDisconnected from None
        except (WebSocketDisconnect, AlreadyDisconnected):
            # Starlette's own: the client has disconnected, or another send, or a close, has detected the end of the
            # socket before.
            raise WebSocketDisconnected from None

    async def close(self, code: int, reason: str) -> None:
        """Close, or reset the connection. No effect on a closed socket."""
        try:
            await with_timeout(self._send_timeout_seconds, super().close(code, _shortened(reason)))
        except TimeoutError:
            self._cut_off()
        except RuntimeError:
            # Starlette's complaint that a close was sent before: two tasks had a reason to close.
            self._telemetry.info("socket_closed_twice", code=code)
        except WebSocketDisconnect:
            return  # The client closed first.

    def _cut_off(self) -> None:
        if not self._is_stalled and self._owner is not None:
            self._is_stalled = True
            self._telemetry.warning("socket_stalled", next="cut off")
            self._owner.cancel(STALLED)


def _shortened(reason: str) -> str:
    """Return the reason truncated to the size of a close frame (RFC 6455, 5.5)."""
    return reason.encode()[:CLOSE_REASON_MAX_BYTES].decode(errors="ignore")
