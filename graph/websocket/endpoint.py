"""GraphQL over websocket, transport level: graphql-transport-ws only."""

import asyncio
from datetime import timedelta
from http import HTTPStatus

import orjson
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http.websocket_origin import is_same_origin
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from graph.auth.allowed_origins import AllowedOrigins, shown
from graph.auth.tokens import TokenVerifier
from graph.context import Context, Services
from graph.limits.request_rates import RequestRates
from graph.schema.build import Schema
from graph.websocket.handler import SocketHandler
from graph.websocket.open_sockets import OpenSockets
from graph.websocket.socket import STALLED, Socket

REFUSED_ORIGIN = (
    "Pages of {origin} may not connect to {host}: add the origin to ALLOWED_ORIGINS of the API. If the page has the "
    "address of the API, the proxy between them replaces Host, and must pass it on (nginx: proxy_set_header Host "
    "$http_host)."
)


class WebSocketEndpoint(GraphQL[Context | None, None]):
    """An ASGI application for the websocket side of /graphql."""

    websocket_adapter_class = Socket  # type: ignore[assignment]  # it is only used with this view
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
            # Whose pages may connect is decided before, with a sentence for the refused.
            allowed_origins=("*",),
        )
        self._origins = AllowedOrigins(settings.allowed_origins)
        self.services = services
        self.tokens = tokens
        self.rates = rates
        self.sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket until it ends. A process that is about to stop opens none, and no page of an origin that
        is not allowed opens one."""
        refused = self._refused(scope)
        if refused is not None:
            await WebSocket(scope, receive, send).send_denial_response(refused)
            return
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError as cancellation:
            if STALLED not in cancellation.args:
                raise
            # Closed by us: the server must not treat it as a shutdown.
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()

    def _refused(self, scope: Scope) -> Response | None:
        """Return the answer to a handshake that is refused, or None."""
        if reason := self.sockets.refusal():
            return PlainTextResponse(reason, HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": "1"})
        headers = Headers(scope=scope)
        origin, host = headers.get("origin"), headers.get("host", "")
        # A client that sends no Origin is no browser. Sec-Fetch-Site is right whatever a proxy has made of Host, but
        # browsers send it over https and to this machine alone.
        is_own = origin is None or headers.get("sec-fetch-site") == "same-origin" or is_same_origin(origin, host)
        if is_own or self._origins.allow(origin or ""):
            return None
        origin, host = shown(origin or ""), shown(host)
        self.services.telemetry.warning("cross_origin_refused", setting="ALLOWED_ORIGINS", origin=origin, host=host)
        return PlainTextResponse(REFUSED_ORIGIN.format(origin=origin, host=host), HTTPStatus.FORBIDDEN)

    async def get_context(
        self,
        request: Request | WebSocket,  # noqa: ARG002 - Strawberry names its arguments
        response: Response | WebSocket,  # noqa: ARG002 - as above
    ) -> None:
        """Return None until the first message names the bearer; the handler sets it then."""
        return

    def decode_json(self, data: str | bytes) -> object:
        """Strict JSON: no NaN, no lone surrogates."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        """Encode JSON as text: bytes would be sent as binary frames, which browsers' clients do not expect."""
        return orjson.dumps(data).decode()
