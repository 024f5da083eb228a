"""The routes of the API, for the runtime to mount beside health and metrics."""

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from graph.context import Services
from graph.draining import OpenSockets
from graph.graphiql import STATIC_PATH, GraphiQL
from graph.http import METHODS, HttpEndpoint
from graph.request_rates import RequestRates
from graph.schema import build_schema
from graph.settings import GraphSettings
from graph.tokens import TokenVerifier
from graph.websocket import WebSocketEndpoint

GRAPHQL_PATH = "/graphql"
PREFLIGHT_MAX_AGE_SECONDS = 600


def create_graphql_routes(
    services: Services, *, tokens: TokenVerifier, sockets: OpenSockets | None = None
) -> Sequence[BaseRoute]:
    """The routes: /graphql over HTTP and websocket, and the files of GraphiQL where it is shown.

    Whoever stops the process ends the open ones of `sockets` first.
    """
    settings = services.settings
    schema = build_schema(settings)
    graphiql = GraphiQL(settings, services.telemetry) if settings.shows_graphiql else None
    rates = RequestRates(settings, services.telemetry)
    http = HttpEndpoint(schema=schema, services=services, tokens=tokens, rates=rates, graphiql=graphiql)
    sockets = OpenSockets() if sockets is None else sockets
    websocket = WebSocketEndpoint(schema=schema, services=services, tokens=tokens, rates=rates, sockets=sockets)
    routes: list[BaseRoute] = [
        Route(GRAPHQL_PATH, http, middleware=_cross_origin(settings)),
        WebSocketRoute(GRAPHQL_PATH, websocket),
    ]
    if graphiql is not None:
        routes.append(Mount("/graphiql", StaticFiles(directory=STATIC_PATH)))
    return routes


def _cross_origin(settings: GraphSettings) -> Sequence[Middleware]:
    """Let pages of the allowed origins call; tokens travel in a header, so credentials are never asked for."""
    if not settings.allowed_origins:
        return ()
    return (
        Middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=METHODS[settings.get_queries_allowed],
            allow_headers=("authorization", "content-type"),
            allow_credentials=False,
            max_age=PREFLIGHT_MAX_AGE_SECONDS,
        ),
    )
