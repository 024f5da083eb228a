"""The routes of the API, for the runtime to mount together with health and metrics."""

from collections.abc import Awaitable, Sequence

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.auth.tokens import TokenVerifier
from graph.context import Services
from graph.http.compression import COMPRESSION_LEVEL
from graph.http.cross_origin import CrossOrigin
from graph.http.endpoint import HttpEndpoint
from graph.http.graphiql import STATIC_PATH, GraphiQL
from graph.limits.request_rates import RequestRates
from graph.schema.build import build_schema
from graph.websocket.endpoint import WebSocketEndpoint
from graph.websocket.open_sockets import OpenSockets

GRAPHQL_PATH = "/graphql"


def create_graphql_routes(
    services: Services, *, tokens: TokenVerifier, sockets: OpenSockets | None = None
) -> Sequence[BaseRoute]:
    """Return the routes: /graphql over HTTP and websocket, and, where it is served, GraphiQL, to which / redirects.

    The caller that stops the process ends the open ones of `sockets` first.
    """
    settings = services.settings
    schema = build_schema(settings)
    graphiql = GraphiQL(settings, services.telemetry) if settings.shows_graphiql else None
    rates = RequestRates(settings, services.telemetry)
    http = HttpEndpoint(schema=schema, services=services, tokens=tokens, rates=rates, graphiql=graphiql)
    sockets = OpenSockets(settings, services.telemetry) if sockets is None else sockets
    websocket = WebSocketEndpoint(schema=schema, services=services, tokens=tokens, rates=rates, sockets=sockets)
    cross_origin = Middleware(CrossOrigin, settings=settings, telemetry=services.telemetry)
    routes: list[BaseRoute] = [
        Route(GRAPHQL_PATH, http, middleware=(cross_origin,)),
        WebSocketRoute(GRAPHQL_PATH, websocket),
    ]
    if graphiql is not None:
        routes.append(
            Mount("/graphiql", GZipMiddleware(StaticFiles(directory=STATIC_PATH), compresslevel=COMPRESSION_LEVEL))
        )
        page = f"{settings.root_path}{GRAPHQL_PATH}"
        routes.append(Route("/", lambda _: RedirectResponse(page), methods=["GET"]))
    return routes


def graphql_first(application: ASGIApp, routes: Sequence[BaseRoute], *, root_path: str = "") -> ASGIApp:
    """Return the application with requests to /graphql routed directly: nearly all are, and Starlette's middleware and
    other routes cost a tenth of storing an order.

    Every path may begin with `root_path` and end in a slash. It is served there, not redirected: behind a proxy the
    process does not know the address that a client uses.
    """
    endpoint = next(route.app for route in routes if isinstance(route, Route) and route.path == GRAPHQL_PATH)

    def called(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path: str = scope["path"]
        if path != GRAPHQL_PATH and (own := _own_path(path, root_path)) != path:
            path = own
            scope = {**scope, "path": path}
        is_graphql = scope["type"] == "http" and path == GRAPHQL_PATH
        return endpoint(scope, receive, send) if is_graphql else application(scope, receive, send)

    return called


def _own_path(path: str, root_path: str) -> str:
    """Return the path as the routes know it."""
    if root_path and f"{path}/".startswith(f"{root_path}/"):
        path = path[len(root_path) :]
    return path.rstrip("/") or "/"
