"""Sources of the issuer's keys: a file, an address, discovery; in bounded time, and no other source."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from runtime.resources.jwks import IssuerKeys
from runtime.resources.key_sources import discovered_source, file_source, url_source
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.issuer_keys import accepts, keys_from, state
from tests.support.token_issuer import TokenIssuer, new_key


@pytest.mark.parametrize("status", [302, 304, 404, 503])
async def test_an_answer_that_is_not_200_is_no_key_set(issuer: TokenIssuer, keys: IssuerKeys, status: int) -> None:
    reads = issuer.reads
    issuer.status = status
    issuer.headers = {"location": f"{issuer.keys_url}?redirected"}

    await keys.refresh()

    assert issuer.reads == reads + 1, "a redirect was followed"
    assert await state(keys) == "stale"
    assert accepts(keys, issuer.token("first"))


async def test_an_issuer_that_does_not_answer_is_given_up_in_time(
    issuer: TokenIssuer, session: aiohttp.ClientSession, telemetry: RecordingTelemetry
) -> None:
    keys = keys_from(url_source(session, issuer.keys_url), issuer, telemetry, read_timeout_seconds=0.1)
    await keys.start()
    issuer.is_stalled = True

    async with asyncio.timeout(5):
        await keys.refresh()

    assert await state(keys) == "stale"


async def test_a_file_is_read_again_as_an_address_is(
    issuer: TokenIssuer, telemetry: RecordingTelemetry, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(issuer.public_keys())
    keys = keys_from(file_source(path), issuer, telemetry)
    await keys.start()
    assert accepts(keys, issuer.token("first"))

    issuer.keys = {"second": new_key()}
    path.write_bytes(issuer.public_keys())
    await keys.refresh()
    assert accepts(keys, issuer.token("second"))

    path.unlink()
    await keys.refresh()
    assert accepts(keys, issuer.token("second"))
    assert await state(keys) == "stale"


async def test_the_keys_are_found_by_issuer_discovery(
    issuer: TokenIssuer, session: aiohttp.ClientSession, telemetry: RecordingTelemetry
) -> None:
    keys = keys_from(discovered_source(session, issuer.address), issuer, telemetry)
    await keys.start()

    assert accepts(keys, issuer.token("first"))


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "http://127.0.0.1"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": ["http://127.0.0.1"]},
    ],
)
async def test_a_configuration_of_another_issuer_or_without_address_has_no_keys(
    issuer: TokenIssuer,
    session: aiohttp.ClientSession,
    telemetry: RecordingTelemetry,
    configuration: dict[str, object],
) -> None:
    issuer.configuration = configuration
    keys = keys_from(discovered_source(session, issuer.address), issuer, telemetry)

    await keys.start()

    assert issuer.reads == 0
    assert await state(keys) == "no keys"
