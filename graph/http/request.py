"""An HTTP request as ASGI gives it, with its headers looked up once: Starlette's own looks through all for each."""

from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope


class HttpRequest:
    """One request by POST, or by another method whose headers alone are wanted."""

    __slots__ = ("_headers", "method", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self._headers = _by_name(scope)

    def header(self, name: bytes) -> str | None:
        """The first header of that name, in small letters; of `accept` all, since they are one list (RFC 9110, 5.3)."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def read_body(self, *, max_bytes: int) -> bytes | None:
        """The body, or None as soon as it is longer. Raises ClientDisconnect."""
        body = b""
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part: bytes = message.get("body", b"")
            body = body + part if body else part
            if len(body) > max_bytes:
                return None
            if not message.get("more_body", False):
                return body


def _by_name(scope: Scope) -> Mapping[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name not in headers:
            headers[name] = value
        elif name == b"accept":
            headers[name] += b"," + value
    return headers
