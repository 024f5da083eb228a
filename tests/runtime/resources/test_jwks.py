"""The issuer's keys over HTTP: read again at intervals or when a token names a new one, and kept after any failure."""

from pathlib import Path

import aiohttp
import pytest

from domain.ports.telemetry import Metric
from graph.auth.tokens import VerificationUnavailableError
from runtime.resources.jwks import IssuerKeys
from runtime.resources.key_cache import KeyCache
from runtime.resources.key_sources import url_source
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.issuer_keys import HOUR_SECONDS, accepts, followed, keys_from, state
from tests.support.processes import eventually
from tests.support.token_issuer import TokenIssuer, key_set, new_key, public_entry

BARRIER_READS = 3
"""A read that a token caused has been made when so many later ones are answered, one after the other."""


async def test_a_token_of_a_new_key_is_accepted_once_the_keys_were_read_again(
    issuer: TokenIssuer, keys: IssuerKeys
) -> None:
    heard: list[frozenset[str]] = []
    keys.held.on_change(heard.append)
    async with followed(keys):
        assert accepts(keys, issuer.token("first"))
        issuer.keys["second"] = new_key()
        rotated = issuer.token("second")

        assert not accepts(keys, rotated)
        await eventually(lambda: accepts(keys, rotated), within_seconds=5, what="the new key is known")

    assert heard == [keys.held.keys.thumbprints]
    assert len(heard[0]) == 2


async def test_any_number_of_tokens_with_unknown_keys_causes_one_read_in_an_interval(
    issuer: TokenIssuer, session: aiohttp.ClientSession, telemetry: RecordingTelemetry
) -> None:
    seconds = 0.0
    source = url_source(session, issuer.keys_url)
    keys = keys_from(source, issuer, telemetry, steady_seconds=lambda: seconds)
    await keys.start()
    async with followed(keys):
        for key_id in ("second", "third", "fourth"):
            for _ in range(5):
                assert not accepts(keys, issuer.token(key_id, key=new_key()))
                assert not accepts(keys, issuer.token("first", key=new_key()))
            await eventually(lambda: issuer.reads >= 2, within_seconds=5, what="the first one causes a read")
        for _ in range(BARRIER_READS):
            await keys.refresh()
        assert issuer.reads == 2 + BARRIER_READS

        seconds = HOUR_SECONDS
        assert not accepts(keys, issuer.token("fifth", key=new_key()))
        await eventually(
            lambda: issuer.reads == 3 + BARRIER_READS,
            within_seconds=5,
            what="in the next interval there is another one",
        )


@pytest.mark.parametrize("bad", ["", "no token", "a.b.c"])
async def test_a_token_that_names_no_key_causes_no_read(issuer: TokenIssuer, keys: IssuerKeys, bad: str) -> None:
    async with followed(keys):
        assert not accepts(keys, bad)
        assert not accepts(keys, issuer.token("first", exp=1))
        for _ in range(BARRIER_READS):
            await keys.refresh()

    assert issuer.reads == 1 + BARRIER_READS


MALFORMED = {
    "a list as a key's id, and nothing else": key_set(public_entry(new_key(), "x", kid=["x"])),
    "brackets": b"[" * 150_000,
    "no keys": b'{"keys": []}',
    "too large": b" " * 300_000,
    "nonsense": b"\xff",
}


@pytest.mark.parametrize("answer", MALFORMED.values(), ids=MALFORMED)
async def test_the_known_keys_stay_in_use_for_any_answer_of_the_issuer(
    issuer: TokenIssuer, keys: IssuerKeys, telemetry: RecordingTelemetry, answer: bytes
) -> None:
    issuer.key_set = answer

    await keys.refresh()

    assert accepts(keys, issuer.token("first"))
    assert telemetry.said("token_keys_not_refreshed")
    assert await state(keys) == "stale"
    assert telemetry.gauges[Metric.TOKEN_KEYS] == 1
    assert telemetry.gauges[Metric.TOKEN_KEYS_AGE_SECONDS] > 0

    issuer.key_set = None
    await keys.refresh()
    assert await state(keys) == "ok"
    assert telemetry.gauges[Metric.TOKEN_KEYS_AGE_SECONDS] == 0


async def test_an_invalid_entry_among_the_keys_is_counted_and_logged_once(
    issuer: TokenIssuer, keys: IssuerKeys, telemetry: RecordingTelemetry
) -> None:
    good = public_entry(issuer.keys["first"], "first")
    issuer.key_set = key_set(good, good | {"kid": ["x"]}, good | {"d": "secret-of-the-issuer"})

    await keys.refresh()
    await keys.refresh()

    assert accepts(keys, issuer.token("first"))
    assert await state(keys) == "ok"
    assert telemetry.gauges[Metric.TOKEN_KEYS_SKIPPED] == 2
    assert len(telemetry.said("token_keys_skipped")) == 1
    assert "secret-of-the-issuer" not in repr(telemetry.events)


async def test_without_any_key_the_process_is_not_ready_and_retries_until_there_is_one(
    issuer: TokenIssuer,
    session: aiohttp.ClientSession,
    telemetry: RecordingTelemetry,
) -> None:
    issuer.status = 503
    keys = keys_from(url_source(session, issuer.keys_url), issuer, telemetry, retry_seconds=0.01)
    await keys.start()

    assert await state(keys) == "no keys"
    assert telemetry.said("token_keys_missing")
    with pytest.raises(VerificationUnavailableError):
        keys.verify(issuer.token("first"))

    async with followed(keys):
        issuer.status = 200
        await eventually(lambda: bool(keys.held.keys.keys), within_seconds=5, what="the keys are read")
    assert accepts(keys, issuer.token("first"))
    assert await state(keys) == "ok"


async def test_the_last_keys_are_in_force_from_the_start_while_the_issuer_is_away(
    issuer: TokenIssuer, session: aiohttp.ClientSession, telemetry: RecordingTelemetry, tmp_path: Path
) -> None:
    cache = KeyCache(path=tmp_path / "cache.json", issuer=issuer.address)
    source = url_source(session, issuer.keys_url)
    await keys_from(source, issuer, telemetry, cache=cache).start()
    issuer.key_set = b"[" * 150_000

    keys = keys_from(source, issuer, telemetry, cache=cache)
    await keys.start()
    assert accepts(keys, issuer.token("first"))
    assert await state(keys) == "stale"

    issuer.key_set = None
    issuer.keys = {"second": new_key()}
    await keys.refresh()
    kept, _ = cache.read()
    assert kept.thumbprints == keys.held.keys.thumbprints


async def test_a_cache_that_cannot_be_written_or_read_is_logged_and_harmless(
    issuer: TokenIssuer, session: aiohttp.ClientSession, telemetry: RecordingTelemetry, tmp_path: Path
) -> None:
    nowhere = KeyCache(path=tmp_path / "missing" / "cache.json", issuer=issuer.address)
    keys = keys_from(url_source(session, issuer.keys_url), issuer, telemetry, cache=nowhere)
    await keys.start()
    assert accepts(keys, issuer.token("first"))
    assert telemetry.said("token_keys_not_cached")

    (tmp_path / "cache.json").write_text("nonsense")
    broken = KeyCache(path=tmp_path / "cache.json", issuer=issuer.address)
    keys = keys_from(url_source(session, issuer.keys_url), issuer, telemetry, cache=broken)
    await keys.start()
    assert accepts(keys, issuer.token("first"))
    assert telemetry.said("token_keys_cache_unusable")
    assert broken.read()
