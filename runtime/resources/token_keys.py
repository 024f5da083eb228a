"""The verifier of tokens: a secret that is shared with the issuer, or the issuer's public keys, kept up to date."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from graph.auth.key_set import KeySetHolder
from graph.auth.tokens import ExpectedClaims, HmacTokens, TokenVerifier
from runtime.observability.health import Check
from runtime.processes.lifecycle import Process, utc_now
from runtime.resources.jwks import IssuerKeys
from runtime.resources.key_cache import KeyCache
from runtime.resources.key_sources import KeySource, discovered_source, file_source, read_file, url_source
from runtime.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKeys:
    """The verifier of tokens. `held` calls its listeners when the issuer's keys change; with a secret it stays empty.

    `checks` are for /readyz.
    """

    verifier: TokenVerifier
    held: KeySetHolder = field(default_factory=KeySetHolder)
    checks: Mapping[str, Check] = field(default_factory=dict)


@asynccontextmanager
async def open_token_keys(process: Process) -> AsyncIterator[TokenKeys]:
    """Open the configured keys and keep them up to date until the block ends.

    It opens also while the issuer is unreachable. Raise SettingsError when the settings name no key, or several kinds,
    or a file that cannot be read.
    """
    settings = process.settings
    if problems := settings.token_problems():
        raise SettingsError("\n".join(problems))
    expected = ExpectedClaims(
        audience=settings.token_audience,
        issuer=settings.token_issuer,
        account_claim=settings.token_account_claim,
    )
    if settings.token_secret is not None:
        previous = settings.token_secret_previous
        yield TokenKeys(
            verifier=HmacTokens(
                secret=settings.token_secret.get_secret_value(),
                previous_secret=None if previous is None else previous.get_secret_value(),
                expected=expected,
            )
        )
        return
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        keys = IssuerKeys(
            _source(session, settings),
            expected=expected,
            refresh_seconds=settings.token_jwks_refresh_seconds,
            telemetry=process.telemetry,
            clock=utc_now,
            cache=_cache(settings),
        )
        await keys.start()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(keys.follow())
            try:
                yield TokenKeys(verifier=keys, held=keys.held, checks={"token_keys": keys.check})
            finally:
                following.cancel()


def _source(session: aiohttp.ClientSession, settings: Settings) -> KeySource:
    if settings.token_jwks_file is not None:
        path = Path(settings.token_jwks_file)
        try:
            read_file(path)
        except OSError as error:
            raise SettingsError(f"TOKEN_JWKS_FILE: {path} cannot be read: {error.strerror}") from error
        return file_source(path)
    if settings.token_jwks_url is not None:
        return url_source(session, settings.token_jwks_url)
    assert settings.token_issuer is not None  # noqa: S101 - token_problems() refuses settings without any key
    return discovered_source(session, settings.token_issuer)


def _cache(settings: Settings) -> KeyCache | None:
    path = settings.token_jwks_cache_file
    return None if path is None else KeyCache(path=Path(path), issuer=settings.token_issuer)
