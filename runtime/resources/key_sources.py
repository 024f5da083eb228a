"""Where the JWKS of the tokens' issuer is read: a file, an address, or the address that OpenID Connect Discovery names.

The read is bounded in size, and in time by the caller. Redirects are not followed: only the operator and the issuer's
own configuration choose hosts. Content types are ignored; the content decides.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path

import aiohttp
import orjson

from graph.auth.key_set import KEY_SET_MAX_BYTES
from runtime.settings.addresses import web_address

CONFIGURATION_PATH = "/.well-known/openid-configuration"
CHUNK_BYTES = 16_384

KeySource = Callable[[], Awaitable[bytes]]
"""Returns the text of the JWKS. Raises aiohttp.ClientError, OSError or ValueError, without a time-out of its own."""


def file_source(path: Path) -> KeySource:
    """Return the source that reads a file."""

    async def read() -> bytes:
        return await asyncio.to_thread(read_file, path)

    return read


def url_source(session: aiohttp.ClientSession, url: str) -> KeySource:
    """Return the source that fetches an address."""

    async def read() -> bytes:
        return await _fetch(session, url)

    return read


def discovered_source(session: aiohttp.ClientSession, issuer: str) -> KeySource:
    """Return the source that reads the address in the issuer's configuration each time (OpenID Connect Discovery 1.0).

    The configuration's `issuer` must equal the given one exactly (section 4.3).
    """

    async def read() -> bytes:
        text = await _fetch(session, issuer.removesuffix("/") + CONFIGURATION_PATH)
        return await _fetch(session, keys_address(text, issuer=issuer))

    return read


def keys_address(text: bytes, *, issuer: str) -> str:
    """Return the `jwks_uri` of an issuer's configuration. Raise ValueError."""
    try:
        configuration = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError("the issuer's configuration is no JSON, or nested too deeply") from None
    if not isinstance(configuration, dict) or configuration.get("issuer") != issuer:
        raise ValueError(
            "the issuer's configuration names another issuer than TOKEN_ISSUER, which must be the same text"
        )
    address = configuration.get("jwks_uri")
    schemes = ("https",) if issuer.startswith("https:") else ("https", "http")
    if not isinstance(address, str):
        raise ValueError("the issuer's configuration has no jwks_uri")  # noqa: TRY004 - callers expect one error
    try:
        return web_address(address, schemes=schemes)
    except ValueError as error:
        raise ValueError(f"jwks_uri of the issuer's configuration {error}") from None


def read_file(path: Path) -> bytes:
    """Return the content, of which only enough is read to detect that it is too large. Raise OSError."""
    with path.open("rb") as file:
        return file.read(KEY_SET_MAX_BYTES + 1)


async def _fetch(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url, allow_redirects=False, headers={"accept-encoding": "identity"}) as response:
        if response.status != HTTPStatus.OK:
            raise ValueError(f"the issuer answers with status {response.status}")
        text = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            text += chunk
            if len(text) > KEY_SET_MAX_BYTES:
                raise ValueError(f"the issuer's answer is larger than {KEY_SET_MAX_BYTES} bytes")
    return bytes(text)
