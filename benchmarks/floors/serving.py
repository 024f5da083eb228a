"""Serves a floor's application with uvicorn's fastest parts, like the product, without its other parts."""

import os

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp


def serve(application: ASGIApp) -> None:
    """Serve on PORT until stopped."""
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
    )


async def _alive(_request: Request) -> Response:
    return Response()


HEALTH = Route("/healthz", _alive)
