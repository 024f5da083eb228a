"""Sends one HTTP request to the venue and reads its answer: bounded in time and size, never redirected or repeated.

It knows of HTTP what this takes and no more: no cookies, no redirects. See docs/decisions/0016.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlencode, urlsplit

import orjson

from exchange.alpaca.connection import VenueConnection
from exchange.alpaca.http_answer import AnswerLostError, HttpAnswer, NotConnectedError
from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.tunnel import connect, tls_context

TRANSPORT_ERRORS = (OSError,)
"""All that a request can fail with; a time-out is an OSError, and so are ours."""

_PORTS = {"http": 80, "https": 443}


@asynccontextmanager
async def open_transport(settings: AlpacaSettings) -> AsyncIterator["Transport"]:
    """Open the pool of connections that all requests share. Raises ValueError for a URL or key that cannot be used,
    OSError for a file of authorities that cannot."""
    transport = Transport(settings)
    try:
        yield transport
    finally:
        await transport.close()


class Transport:
    """The one way to the venue's REST interface."""

    def __init__(self, settings: AlpacaSettings) -> None:
        url = urlsplit(settings.url)
        if url.scheme not in _PORTS or not url.hostname:
            raise ValueError("the venue's address is not http:// or https:// with a host")
        self._host, self._port = url.hostname, url.port or _PORTS[url.scheme]
        self._tls = tls_context(settings) if url.scheme == "https" else None
        self._path = url.path.rstrip("/")
        self._head = _head(url.netloc.rpartition("@")[2], settings)
        self._settings = settings
        self._free = asyncio.Semaphore(settings.connections_max)
        self._idle: deque[VenueConnection] = deque()

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
        response_max_bytes: int | None = None,
        names: str | None = None,
    ) -> HttpAnswer:
        """Send once and read the whole answer, with any status. Raises one of TRANSPORT_ERRORS.

        A request that is no placement is sent again where a kept connection turns out to be over. `names` is what only
        an answer to this very request holds. A connection is kept only behind an answer that succeeded and holds it:
        after one that was sent twice, say, every answer on that connection would be the one of the request before.
        """
        target = f"{self._path}{path}?{urlencode(query)}" if query else f"{self._path}{path}"
        content = b"\r\n" if body is None else _content(orjson.dumps(body))
        request = b"%s %s%s%s" % (method.encode(), target.encode(), self._head, content)
        max_bytes = response_max_bytes or self._settings.response_max_bytes
        until = asyncio.get_running_loop().time() + self._settings.request_timeout_seconds
        while True:
            connection = await self._take(until)
            try:
                answer = await connection.exchange(request, until=until, answer_max_bytes=max_bytes)
            except AnswerLostError:
                if method == "POST" or not connection.was_over:
                    raise
            else:
                if not (names and answer.is_success and names.encode() in answer.body):
                    connection.close()
                return answer
            finally:
                self._give_back(connection)

    async def close(self) -> None:
        """Close every connection. Tasks that still wait for an answer have to be cancelled before."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # The sockets are closed only now; the loop may end directly after.

    async def _take(self, until: float) -> VenueConnection:
        """Return a connection for one request, the most recently used idle one. Raises NotConnectedError."""
        if self._free.locked() or not (connection := self._kept()):
            return await self._connected(until)
        await self._free.acquire()
        return connection

    def _kept(self) -> VenueConnection | None:
        oldest = asyncio.get_running_loop().time() - self._settings.keepalive_seconds
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connected(self, until: float) -> VenueConnection:
        """Return one that becomes idle in time, or a new one."""
        connected_by = asyncio.get_running_loop().time() + self._settings.connect_timeout_seconds
        try:
            async with asyncio.timeout_at(min(until, connected_by)):
                await self._free.acquire()
                try:
                    return self._kept() or await connect(
                        VenueConnection, self._host, self._port, tls=self._tls, proxy=self._settings.proxy
                    )
                except BaseException:
                    self._free.release()
                    raise
        except OSError as error:
            raise NotConnectedError(str(error) or "no connection in time") from error

    def _give_back(self, connection: VenueConnection) -> None:
        self._free.release()
        if connection.is_open:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)


def _head(host: str, settings: AlpacaSettings) -> bytes:
    """Return the rest of the first line, and the headers of every request."""
    headers = {
        "Host": host,
        "APCA-API-KEY-ID": settings.key,
        "APCA-API-SECRET-KEY": settings.secret,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "fillwire",
    }
    if any(not value.isprintable() for value in headers.values()):
        raise ValueError("the venue's address or key has a character that no header can hold")
    return b" HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


def _content(body: bytes) -> bytes:
    """Return the headers for a body, and the body."""
    return b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
