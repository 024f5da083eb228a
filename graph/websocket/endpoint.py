"""GraphQL over websocket, transport level: graphql-transport-ws only, strict JSON, and no patience with peers that
stop reading.

A peer that stops reading is never dropped by the server itself: its keep-alive closes the transport, and that waits
for the write buffer. So each send has a deadline here, and missing it ends the socket with everything it holds.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketDisconnected as AlreadyDisconnected
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from domain.ports.telemetry import Metric
from graph.auth.tokens import TokenVerifier
from graph.context import Context, Services
from graph.engine.shared_text import SHARED_TEXTS, SharedText
from graph.limits.request_rates import RequestRates
from graph.schema.build import Schema
from graph.websocket.admission import Admission
from graph.websocket.handler import SocketHandler
from graph.websocket.open_sockets import OpenSockets
from graph.websocket.send_timeout import within


class Socket(ASGIWebSocketAdapter):
    """One websocket whose sends have a deadline."""

    def __init__(self, view: "WebSocketEndpoint", request: WebSocket, response: WebSocket) -> None:
        super().__init__(view, request, response)  # type: ignore[arg-type]  # its annotation knows no context type
        self._send_timeout_seconds = view.services.settings.socket_send_timeout_seconds
        self._owner = asyncio.current_task()
        self._telemetry = view.services.telemetry
        self._encode = view.encode_json
        self._is_stalled = False
        self._takes_texts = SHARED_TEXTS in (request.scope.get("extensions") or ())

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send, or give the peer up."""
        await self._send({"type": "websocket.send", "text": self._encode(message)})

    async def send_texts(self, texts: Sequence[SharedText]) -> None:
        """Send what is JSON already, in one write where the server can, or give the peer up."""
        if self._takes_texts:
            await self._send({"type": "websocket.send", "texts": texts})
            return
        for text in texts:
            await self._send({"type": "websocket.send", "text": text})

    async def _send(self, message: Message) -> None:
        try:
            await within(self._send_timeout_seconds, self.ws.send(message))
        except TimeoutError:
            self._give_up()
            raise WebSocketDisconnected from None
        except (WebSocketDisconnect, AlreadyDisconnected):
            # Starlette's own: the peer is gone, or another send, or a close, has met the end of the socket before.
            raise WebSocketDisconnected from None

    async def close(self, code: int, reason: str) -> None:
        """Close, or give the peer up. A socket that is closed already stays so."""
        try:
            await within(self._send_timeout_seconds, super().close(code, _shortened(reason)))
        except TimeoutError:
            self._give_up()
        except RuntimeError:
            # Starlette's complaint that a close was sent before: two tasks had a reason to close.
            self._telemetry.info("socket_closed_twice", code=code)
        except WebSocketDisconnect:
            return  # The peer was faster.

    def _give_up(self) -> None:
        if not self._is_stalled and self._owner is not None:
            self._is_stalled = True
            self._telemetry.warning("socket_stalled", next="cut off")
            self._owner.cancel(STALLED)


CLOSE_REASON_MAX_BYTES = 123
STALLED = "the peer does not read"
STOPPING = "This process is about to stop. Connect again."


class WebSocketEndpoint(GraphQL[Context | None, None]):
    """An ASGI application for the websocket side of /graphql."""

    websocket_adapter_class = Socket  # type: ignore[assignment]  # it takes this view only, and gets no other
    graphql_transport_ws_handler_class = SocketHandler

    def __init__(
        self,
        *,
        schema: Schema,
        services: Services,
        tokens: TokenVerifier,
        rates: RequestRates,
        sockets: OpenSockets,
    ) -> None:
        settings = services.settings
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=settings.socket_init_timeout_seconds),
            max_subscriptions_per_connection=settings.subscriptions_per_socket,
            allowed_origins=settings.allowed_origins,
        )
        self.services = services
        self.tokens = tokens
        self.rates = rates
        self.sockets = sockets
        self.admission = Admission(settings)
        self._open_sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket until it ends. A process that is about to stop opens none."""
        if refusal := self._refusal():
            await WebSocket(scope, receive, send).send_denial_response(
                PlainTextResponse(refusal, status_code=503, headers={"retry-after": "1"})
            )
            return
        self._count(+1)
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError as cancellation:
            if STALLED not in cancellation.args:
                raise
            # Our own cut: the server must not take it for a shutdown.
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            self._count(-1)

    async def get_context(
        self,
        request: Request | WebSocket,  # noqa: ARG002 - Strawberry names its arguments
        response: Response | WebSocket,  # noqa: ARG002 - as above
    ) -> None:
        """Nothing until the first message names the bearer; the handler sets it then."""
        return

    def decode_json(self, data: str | bytes) -> object:
        """Strict JSON: no NaN, no lone surrogates."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        """JSON as text: bytes would go out as binary frames, which browsers' clients do not expect."""
        return orjson.dumps(data).decode()

    def refused(self, limit: str) -> None:
        """Count a socket that a limit has kept out."""
        self.services.telemetry.count(Metric.SOCKETS_REFUSED, limit=limit)

    def _refusal(self) -> str | None:
        if not self.sockets.is_admitting:
            return STOPPING
        if not self.admission.is_full:
            return None
        self.refused("process")
        return f"This process has {self.services.settings.sockets_max} sockets, as many as it may. Try again later."

    def _count(self, step: int) -> None:
        self._open_sockets += step
        self.services.telemetry.set(Metric.SOCKETS, self._open_sockets)


def _shortened(reason: str) -> str:
    """The reason within what a close frame holds (RFC 6455, 5.5)."""
    return reason.encode()[:CLOSE_REASON_MAX_BYTES].decode(errors="ignore")
