"""The token issuer's public keys (JWKS): fetched at the start, periodically, and when a token names an unknown key.

When a fetch fails the known keys stay valid: an issuer that is down for an hour must not lock out all clients.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from domain.ports.telemetry import Telemetry
from graph.auth.bearer import Bearer
from graph.auth.tokens import ExpectedClaims, InvalidTokenError, KeySetTokens, parse_key_set
from runtime.settings import SettingsError

FETCH_TIMEOUT_SECONDS = 5.0
KEY_SET_MAX_BYTES = 262_144
REFRESH_EVERY_SECONDS = 600.0
REFRESH_PAUSE_SECONDS = 10.0
"""The least time between two fetches, however many tokens name unknown keys."""


class FetchedKeySet:
    """A TokenVerifier with the keys that were fetched last."""

    def __init__(self, keys: KeySetTokens) -> None:
        self.keys = keys
        self.unknown_key_seen = asyncio.Event()

    def verify(self, token: str) -> Bearer:
        """Return the bearer. Raise InvalidTokenError; a token with an unknown key also starts a fetch of the keys."""
        try:
            return self.keys.verify(token)
        except InvalidTokenError:
            self.unknown_key_seen.set()
            raise


@asynccontextmanager
async def open_key_set(url: str, *, expected: ExpectedClaims, telemetry: Telemetry) -> AsyncIterator[FetchedKeySet]:
    """Fetch the keys, and refresh them until the block ends. Raise SettingsError when the first fetch fails."""
    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            tokens = FetchedKeySet(await _fetch(session, url, expected))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise SettingsError(f"TOKEN_JWKS_URL: the keys cannot be read: {error!r}") from error
        async with asyncio.TaskGroup() as tasks:
            refreshing = tasks.create_task(_refresh(tokens, session, url, expected, telemetry))
            try:
                yield tokens
            finally:
                refreshing.cancel()


async def _refresh(
    tokens: FetchedKeySet, session: aiohttp.ClientSession, url: str, expected: ExpectedClaims, telemetry: Telemetry
) -> None:
    while True:
        await asyncio.sleep(REFRESH_PAUSE_SECONDS)
        try:
            async with asyncio.timeout(REFRESH_EVERY_SECONDS):
                await tokens.unknown_key_seen.wait()
        except TimeoutError:
            pass
        tokens.unknown_key_seen.clear()
        try:
            tokens.keys = await _fetch(session, url, expected)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            telemetry.warning("token_keys_not_refreshed", error=repr(error), next="the known keys stay valid")


async def _fetch(session: aiohttp.ClientSession, url: str, expected: ExpectedClaims) -> KeySetTokens:
    async with session.get(url, allow_redirects=False, raise_for_status=True) as response:
        text = bytearray()
        async for chunk in response.content.iter_any():
            text += chunk
            if len(text) > KEY_SET_MAX_BYTES:
                raise ValueError(f"the key set is larger than {KEY_SET_MAX_BYTES} bytes")
    return parse_key_set(bytes(text), expected=expected)
