"""The public keys of the tokens' issuer: read at the start, periodically, and when a token names an unknown key.

The last usable keys always stay in use: an issuer that is down or sends invalid data must not lock out all clients.
Until keys were read once the process is not ready, and clients are asked to retry.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import aiohttp

from domain.ports.clock_and_ids import Clock
from domain.ports.telemetry import Metric, Telemetry
from graph.auth.bearer import Bearer
from graph.auth.key_set import KeySet, KeySetHolder, parse_key_set
from graph.auth.tokens import ExpectedClaims, KeySetTokens, UnknownKeyError
from runtime.observability.health import STALE, NotReadyError
from runtime.resources.key_cache import KeyCache
from runtime.resources.key_sources import KeySource

READ_TIMEOUT_SECONDS = 5.0
"""For everything that one read takes, with discovery two requests."""
RETRY_SECONDS = 5.0
"""Between two reads while no key is known."""
NO_KEYS = "no keys"


class IssuerKeys:
    """A TokenVerifier with the keys that were read last.

    A token with an unknown key brings the next read forward, once in `refresh_seconds` at most: such tokens cannot
    cause more requests to the issuer. `steady_seconds` is monotonic.
    """

    def __init__(
        self,
        source: KeySource,
        *,
        expected: ExpectedClaims,
        refresh_seconds: float,
        telemetry: Telemetry,
        clock: Clock,
        cache: KeyCache | None = None,
        steady_seconds: Callable[[], float] = time.monotonic,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.held = KeySetHolder()
        self._tokens = KeySetTokens(keys=self.held, expected=expected)
        self._source = source
        self._refresh_seconds = refresh_seconds
        self._telemetry = telemetry
        self._clock = clock
        self._cache = cache
        self._steady_seconds = steady_seconds
        self._read_timeout_seconds = read_timeout_seconds
        self._retry_seconds = min(retry_seconds, refresh_seconds)
        self._is_asked = asyncio.Event()
        self._asked_at = float("-inf")
        self._read_at: datetime | None = None
        self._failure: str | None = None

    def verify(self, token: str) -> Bearer:
        """Return the bearer. Raise InvalidTokenError, or VerificationUnavailableError while no key is known."""
        try:
            return self._tokens.verify(token)
        except UnknownKeyError:
            now = self._steady_seconds()
            if now - self._asked_at >= self._refresh_seconds:
                self._asked_at = now
                self._is_asked.set()
            raise

    async def check(self) -> None:
        """Raise NotReadyError while there is no key, or, as STALE, while the keys in force are not the last ones."""
        if not self.held.keys.keys:
            raise NotReadyError(NO_KEYS, f"no key of the tokens' issuer is known: {self._failure}")
        if self._failure is not None:
            raise NotReadyError(STALE, f"the keys of {self._read_at} are in force: {self._failure}")

    async def start(self) -> None:
        """Read the keys; when that fails, those of the cache are in force."""
        if self._cache is not None:
            await self._read_cache(self._cache)
        await self.refresh()

    async def follow(self) -> None:
        """Refresh the keys until cancelled."""
        while True:
            pause_seconds = self._refresh_seconds if self.held.keys.keys else self._retry_seconds
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._is_asked.wait()
            self._is_asked.clear()
            await self.refresh()

    async def refresh(self) -> None:
        """Read the keys once. After any failure those in use stay."""
        try:
            async with asyncio.timeout(self._read_timeout_seconds):
                keys = parse_key_set(await self._source())
        except Exception as error:  # noqa: BLE001 - nothing that an issuer sends may end the process or its refreshing
            self._note_failure(_describe(error, timeout_seconds=self._read_timeout_seconds))
            return
        self._failure, self._read_at = None, self._clock()
        self._put_in_force(keys)
        if self._cache is not None:
            # Unchanged keys too: the time of the file is the age of the keys after a restart.
            await self._write(self._cache, keys)

    def _put_in_force(self, keys: KeySet) -> None:
        if keys.skipped and keys.skipped != self.held.keys.skipped:
            self._telemetry.warning("token_keys_skipped", reasons=dict(keys.skipped), next="the other keys are used")
        if self.held.replace(keys):
            self._telemetry.info("token_keys_changed", keys=len(keys.keys))
        self._report()

    def _note_failure(self, failure: str) -> None:
        self._failure = failure
        if self.held.keys.keys:
            self._telemetry.warning(
                "token_keys_not_refreshed", error=failure, read_at=self._read_at, next="the known keys stay in force"
            )
        else:
            self._telemetry.error("token_keys_missing", error=failure, next="read again; clients are asked to retry")
        self._report()

    def _report(self) -> None:
        read_at = None if self._failure is None else self._read_at
        age_seconds = 0.0 if read_at is None else (self._clock() - read_at).total_seconds()
        self._telemetry.set(Metric.TOKEN_KEYS, len(self.held.keys.keys))
        self._telemetry.set(Metric.TOKEN_KEYS_SKIPPED, sum(self.held.keys.skipped.values()))
        self._telemetry.set(Metric.TOKEN_KEYS_AGE_SECONDS, age_seconds)

    async def _read_cache(self, cache: KeyCache) -> None:
        try:
            keys, self._read_at = await asyncio.to_thread(cache.read)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._telemetry.warning("token_keys_cache_unusable", error=str(error), next="the issuer is asked")
            return
        self._put_in_force(keys)

    async def _write(self, cache: KeyCache, keys: KeySet) -> None:
        try:
            await asyncio.to_thread(cache.write, keys)
        except OSError as error:
            self._telemetry.warning("token_keys_not_cached", error=str(error), next="tried again with the next read")


def _describe(error: Exception, *, timeout_seconds: float) -> str:
    """Return what went wrong, without the address, which may hold a password or a key."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_seconds} s"
    if isinstance(error, aiohttp.InvalidURL):
        return "the address cannot be used"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
