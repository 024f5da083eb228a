"""A token issuer over HTTP, and its keys as an API reads them."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from runtime.resources.jwks import IssuerKeys
from runtime.resources.key_sources import url_source
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.issuer_keys import keys_from
from tests.support.token_issuer import TokenIssuer, serving


@pytest.fixture
async def issuer() -> AsyncIterator[TokenIssuer]:
    async with serving(TokenIssuer()) as issuer:
        yield issuer


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
def telemetry() -> RecordingTelemetry:
    return RecordingTelemetry()


@pytest.fixture
async def keys(issuer: TokenIssuer, session: aiohttp.ClientSession, telemetry: RecordingTelemetry) -> IssuerKeys:
    keys = keys_from(url_source(session, issuer.keys_url), issuer, telemetry)
    await keys.start()
    return keys
