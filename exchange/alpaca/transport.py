"""Sends one HTTP request to the venue and reads its answer: bounded in time and size, never redirected or repeated."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import orjson

from exchange.alpaca.outcomes import Answer
from exchange.alpaca.settings import AlpacaSettings

READ_CHUNK_BYTES = 64 * 1024
TRANSPORT_ERRORS = (aiohttp.ClientError, OSError)
"""All that a request can fail with; a time-out is an OSError."""

_KEPT_HEADERS = ("date", "x-ratelimit-reset")


class AnswerTooLargeError(aiohttp.ClientPayloadError):
    """The answer has more bytes than the settings allow."""


@asynccontextmanager
async def open_session(settings: AlpacaSettings) -> AsyncIterator[aiohttp.ClientSession]:
    """Open the pool of connections that all requests share."""
    connector = aiohttp.TCPConnector(
        limit=settings.connections_max,
        limit_per_host=settings.connections_max,
        keepalive_timeout=settings.keepalive_seconds,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=settings.request_timeout_seconds, connect=settings.connect_timeout_seconds),
        trust_env=False,
    )
    async with session:
        yield session


class Transport:
    """The one way to the venue's REST interface."""

    def __init__(self, session: aiohttp.ClientSession, settings: AlpacaSettings) -> None:
        self._session = session
        self._url = settings.url.rstrip("/")
        self._response_max_bytes = settings.response_max_bytes
        self._headers = {
            "APCA-API-KEY-ID": settings.key,
            "APCA-API-SECRET-KEY": settings.secret,
            "Accept": "application/json",
        }

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
        response_max_bytes: int | None = None,
    ) -> Answer:
        """Send once and read the whole answer, whatever its status. Raises one of TRANSPORT_ERRORS.

        aiohttp repeats a GET or DELETE by itself when a kept connection turns out to be closed, never a POST.
        """
        headers = self._headers if body is None else self._headers | {"Content-Type": "application/json"}
        async with self._session.request(
            method,
            f"{self._url}{path}",
            params=query,
            data=None if body is None else orjson.dumps(body),
            headers=headers,
            allow_redirects=False,
        ) as response:
            payload = await _read(response, max_bytes=response_max_bytes or self._response_max_bytes)
            kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
            return Answer(status=response.status, body=payload, headers=kept)


async def _read(response: aiohttp.ClientResponse, *, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(READ_CHUNK_BYTES):
        size += len(part)
        if size > max_bytes:
            raise AnswerTooLargeError(f"the answer has more than {max_bytes} bytes")
        parts.append(part)
    return b"".join(parts)
