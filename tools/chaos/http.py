"""HTTP/1.1 as the load needs it: POST on reused connections, one request at a time on each.

A general client costs half a millisecond of CPU a request, which on a small machine is taken from the system under
test.
"""

import asyncio
from collections import defaultdict
from typing import cast
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Connections:
    """The idle connections to some servers, opened when needed."""

    def __init__(self) -> None:
        self._idle: defaultdict[str, list[_Connection]] = defaultdict(list)

    async def post(self, url: str, path: str, body: bytes, *, token: str, timeout_seconds: float) -> bytes:
        """Return the body of an answer with any status. Raise OSError, TimeoutError or ValueError."""
        async with asyncio.timeout(timeout_seconds):
            connection = await self._take(url)
            try:
                answer = await connection.ask(_request(path, body, token=token))
            except BaseException:
                # Its answer may still arrive: no other request may receive it.
                connection.close()
                raise
        self._idle[url].append(connection)
        return answer

    def close(self) -> None:
        """Close all idle ones."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _take(self, url: str) -> "_Connection":
        idle = self._idle[url]
        while idle:
            connection = idle.pop()
            if not connection.is_closed:
                return connection
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        loop = asyncio.get_running_loop()
        _, opened = await loop.create_connection(_Connection, address.hostname, address.port)
        return opened


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.is_closed = False
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[bytes] | None = None

    async def ask(self, request: bytes) -> bytes:
        """Send the request and wait for the body of its answer."""
        if self._transport is None or self.is_closed:
            raise ConnectionResetError
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close it."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is one without saying so by its type.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is None or self._answer.done():
            return
        head, end, body = self._received.partition(HEAD_END)
        if not end:
            return
        try:
            length = _content_length(head)
        except ValueError as error:
            self._answer.set_exception(error)
            return
        if len(body) >= length:
            self._answer.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())


def _request(path: str, body: bytes, *, token: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    begins = lowered.find(LENGTH)
    if begins < 0:
        raise ValueError("the answer does not tell its length")
    return int(lowered[begins + len(LENGTH) :].split(b"\r\n", 1)[0])
