"""Answers to requests that the application never sees, and the rules by which a parseable head is malformed.

A request that two programs delimit differently can hide another one (RFC 9112, section 11.2). So everything that the
RFC allows a server to repair is refused here.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus

FRAMING_NAMES = frozenset({b"host", b"transfer-encoding"})
VERSIONS = frozenset({"1.0", "1.1"})
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]*)?")
"""RFC 9110, section 7.2, and RFC 3986, section 3.2.2. It may be empty: then the target has no authority."""


def refusal(status: HTTPStatus, sentence: str, **headers: str) -> bytes:
    """Return a complete response that ends its connection."""
    body = f"{sentence}\n"
    fields = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
        "connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{lines}\r\n{body}".encode("ascii")


TOO_MANY_CONNECTIONS = refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "This process has as many connections as it may. Try again a bit later.",
    retry_after="1",
)
HEAD_TOO_LARGE = refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request has more or longer headers than it may."
)
MALFORMED = refusal(HTTPStatus.BAD_REQUEST, "This is not a request of HTTP/1.1 or HTTP/1.0.")
FRAMING_TOO_LARGE = refusal(
    HTTPStatus.BAD_REQUEST, "The body has more between its chunks, or behind them, than it may."
)
NO_TUNNEL = refusal(HTTPStatus.BAD_REQUEST, "This server is no proxy.")
ONE_HOST = refusal(HTTPStatus.BAD_REQUEST, "A request has one Host header, with the name of a host.")
ONLY_CHUNKED = refusal(
    HTTPStatus.BAD_REQUEST, "Transfer-Encoding may be chunked and nothing else, and not on HTTP/1.0."
)


def fault_in_head(method: bytes, version: str, framing: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """Return the refusal of a head with these of its headers that are in FRAMING_NAMES; None when it may be served.

    Faults that the parser refuses are not checked: Content-Length with Transfer-Encoding, several of either, folded
    lines, bare line feeds, blanks before a colon, control characters.
    """
    if version not in VERSIONS:
        return MALFORMED
    if method == b"CONNECT":
        # The parser treats the following bytes as another protocol; a proxy treats them as requests.
        return NO_TUNNEL
    hosts = [value for name, value in framing if name == b"host"]
    # RFC 9112, section 3.2; HTTP/1.0 does not require Host.
    if len(hosts) != 1 and (hosts or version == "1.1"):
        return ONE_HOST
    if hosts and HOST.fullmatch(hosts[0]) is None:
        return ONE_HOST
    codings = [value.lower() for name, value in framing if name == b"transfer-encoding"]
    # RFC 9112, section 6.1. The parser delimits "gzip, chunked" as chunked and does not decompress.
    if codings and (codings != [b"chunked"] or version == "1.0"):
        return ONLY_CHUNKED
    return None
