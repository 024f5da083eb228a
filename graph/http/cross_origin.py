"""Cross-origin requests (CORS): which pages of other addresses may call, with which headers, and what they may read.

Tokens travel in a header that the page itself sets, and no cookie is read: credentials are never asked for.
"""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.ports.telemetry import Telemetry
from graph.auth.allowed_origins import AllowedOrigins, shown
from graph.http.endpoint import METHODS
from graph.settings import GraphSettings

PREFLIGHT_MAX_AGE_SECONDS = 600
NEEDED_HEADERS = ("authorization", "content-type", "last-event-id")
"""Request headers that are allowed whatever `ALLOWED_HEADERS` says: nothing works without them."""
EXPOSED_HEADERS = ("RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")
"""Response headers that a page may read beside those that the Fetch standard allows."""


class CrossOrigin(CORSMiddleware):
    """Starlette's middleware, whose refusals say which setting to change."""

    def __init__(self, app: ASGIApp, *, settings: GraphSettings, telemetry: Telemetry) -> None:
        super().__init__(
            app,
            allow_origins=("*",) if "*" in settings.allowed_origins else (),
            allow_methods=METHODS[settings.get_queries_allowed],
            allow_headers=(*settings.allowed_headers, *NEEDED_HEADERS),
            allow_credentials=False,
            # Whoever lists an origin means it, on whichever network the API is.
            allow_private_network=True,
            expose_headers=EXPOSED_HEADERS,
            max_age=PREFLIGHT_MAX_AGE_SECONDS,
        )
        self._origins = AllowedOrigins(settings.allowed_origins)
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or add the headers of CORS to the answer where some page may read it."""
        if self._origins or scope["method"] == "OPTIONS":
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def simple_response(self, scope: Scope, receive: Receive, send: Send, request_headers: Headers) -> None:
        """Answer what is no preflight."""
        if self._origins:
            await super().simple_response(scope, receive, send, request_headers)
        else:
            await self.app(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        """Return whether pages of the origin may call."""
        return self._origins.allow(origin)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a preflight; a refusal is a 403 with a sentence for the developer."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == HTTPStatus.OK:
            return answer
        origin = shown(request_headers["origin"])
        setting, reason = self._refusal(origin, request_headers)
        self._telemetry.warning("cross_origin_refused", setting=setting, origin=origin)
        return PlainTextResponse(reason, HTTPStatus.FORBIDDEN, {"vary": answer.headers["vary"]})

    def _refusal(self, origin: str, request_headers: Headers) -> tuple[str, str]:
        """Return the setting that refuses the request, and what to do."""
        method = request_headers["access-control-request-method"]
        if not self.is_allowed_origin(request_headers["origin"]):
            return "ALLOWED_ORIGINS", f"Pages of {origin} may not call: add the origin to ALLOWED_ORIGINS of the API."
        if method in METHODS[True] and method not in self.allow_methods:
            return "GET_QUERIES_ALLOWED", "Queries by GET are switched off: GET_QUERIES_ALLOWED of the API."
        if method not in self.allow_methods:
            return "", f"Only {' and '.join(self.allow_methods)} are served, for every origin."
        asked = {name.strip().lower() for name in request_headers["access-control-request-headers"].split(",")}
        refused = ", ".join(sorted(asked.difference(self.allow_headers)))
        return "ALLOWED_HEADERS", f"The page may not send {shown(refused)}: add it to ALLOWED_HEADERS of the API."
