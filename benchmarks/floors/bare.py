"""The floor of every request: Starlette alone, returning the bytes of ANSWER to any request."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.floors.serving import HEALTH, serve

ANSWER = os.environ["ANSWER"].encode()


async def answer(_request: Request) -> Response:
    """Return the same bytes every time."""
    return Response(ANSWER, media_type="application/json")


if __name__ == "__main__":
    serve(Starlette(routes=[HEALTH, Route("/graphql", answer, methods=["POST"])]))
