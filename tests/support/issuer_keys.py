"""The keys of a test's token issuer as an API reads them, and their verdict on a token."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from graph.auth.tokens import ExpectedClaims, InvalidTokenError
from runtime.observability.health import NotReadyError
from runtime.resources.jwks import IssuerKeys
from runtime.resources.key_cache import KeyCache
from runtime.resources.key_sources import KeySource
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.token_issuer import AUDIENCE, TokenIssuer

HOUR_SECONDS = 3_600.0


def keys_from(
    source: KeySource,
    issuer: TokenIssuer,
    telemetry: RecordingTelemetry,
    *,
    cache: KeyCache | None = None,
    steady_seconds: Callable[[], float] = time.monotonic,
    **bounds: float,
) -> IssuerKeys:
    """Return the keys of that source, not read yet; they are read automatically again after an hour."""
    return IssuerKeys(
        source,
        expected=ExpectedClaims(audience=AUDIENCE, issuer=issuer.address),
        refresh_seconds=HOUR_SECONDS,
        telemetry=telemetry,
        clock=lambda: datetime.now(UTC),
        cache=cache,
        steady_seconds=steady_seconds,
        **bounds,
    )


@asynccontextmanager
async def followed(keys: IssuerKeys) -> AsyncIterator[None]:
    """Refresh the keys as an API does, until the block ends."""
    following = asyncio.create_task(keys.follow())
    try:
        yield
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def accepts(keys: IssuerKeys, token: str) -> bool:
    """Return whether the token is valid."""
    try:
        return keys.verify(token).subject == "demo"
    except InvalidTokenError:
        return False


async def state(keys: IssuerKeys) -> str:
    """Return the part's state as /readyz shows it."""
    try:
        await keys.check()
    except NotReadyError as reason:
        return reason.reason
    return "ok"
