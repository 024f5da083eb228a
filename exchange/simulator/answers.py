"""HTTP answers in JSON."""

import orjson
from aiohttp import web

from exchange.simulator.refusals import VenueRefusalError


def json_answer(payload: object, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(payload), status=status, content_type="application/json")


def refused_answer(error: VenueRefusalError) -> web.Response:
    return json_answer({"code": error.code, "message": error.message}, status=error.status)


def gateway_answer(status: int) -> web.Response:
    """Return a gateway's own answer: it proves nothing about the order."""
    return web.Response(body=b"<html><body>gateway error</body></html>", status=status, content_type="text/html")
