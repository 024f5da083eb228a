"""Compression of large answers for clients that ask for it. Small ones are sent as they are, and cost nothing more.

An answer never holds the token, and browsers send the token only where a page puts it: what an attacker's page can
make a browser ask (BREACH) is answered with 401.
"""

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from graph.http.responses import read_range

COMPRESSED_MIN_BYTES = 1_024
"""A smaller answer fits into a packet or two, compressed or not."""
COMPRESSION_LEVEL = 4
"""Of zlib's 1 to 9. Starlette's 9 takes twice as long for 3 % less (a page of 50 orders)."""


def compressed(response: Response, accept_encoding: str | None) -> ASGIApp:
    """Return the response, or one that sends it compressed where it is large and the header asks for gzip."""
    if len(response.body) <= COMPRESSED_MIN_BYTES:
        return response
    codings = [read_range(part) for part in (accept_encoding or "").split(",")]
    if not any(coding == "gzip" and quality > 0 for coding, quality in codings):
        # The middleware takes a coding for wanted when its name is somewhere in the header.
        response.headers.add_vary_header("Accept-Encoding")
        return response
    return GZipMiddleware(response, minimum_size=COMPRESSED_MIN_BYTES, compresslevel=COMPRESSION_LEVEL)
