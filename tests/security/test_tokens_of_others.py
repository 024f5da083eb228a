"""Settings under which tokens that were not made for this system would be accepted: an API does not start on them."""

from collections.abc import Mapping

import pytest

from runtime.settings import Settings, load_settings
from tests.support.processes import running
from tests.support.system import BROADCAST_KEY

SECRET = "s" * 32
ISSUER = "https://issuer.example"
KEYS = {"TOKEN_JWKS_URL": f"{ISSUER}/keys"}
BOTH = {"TOKEN_AUDIENCE": "fillwire", "TOKEN_ISSUER": ISSUER}


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def problems(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str]) -> list[str]:
    """Why an API does not start on these settings."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return list(load_settings().token_problems())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "must be set"),
        (KEYS, "TOKEN_AUDIENCE and TOKEN_ISSUER must be set"),
        ({"TOKEN_JWKS_FILE": "keys.json", "TOKEN_ISSUER": ISSUER}, "TOKEN_AUDIENCE must be set"),
        (KEYS | {"TOKEN_AUDIENCE": "fillwire"}, "TOKEN_ISSUER must be set"),
        ({"TOKEN_ISSUER": ISSUER}, "TOKEN_AUDIENCE must be set"),
        (KEYS | BOTH | {"TOKEN_SECRET": SECRET}, "TOKEN_SECRET and TOKEN_JWKS_URL are set"),
        (KEYS | BOTH | {"TOKEN_SECRET_PREVIOUS": SECRET}, "TOKEN_SECRET_PREVIOUS and TOKEN_JWKS_URL are set"),
        (BOTH | {"TOKEN_JWKS_FILE": "keys.json", "TOKEN_SECRET": SECRET}, "TOKEN_SECRET and TOKEN_JWKS_FILE are set"),
        ({"TOKEN_SECRET_PREVIOUS": SECRET}, "TOKEN_SECRET_PREVIOUS is set without TOKEN_SECRET"),
        (KEYS | BOTH | {"TOKEN_JWKS_FILE": "keys.json"}, "TOKEN_JWKS_FILE and TOKEN_JWKS_URL are both set"),
        (BOTH | {"TOKEN_ISSUER": "fillwire"}, "TOKEN_ISSUER"),
        (BOTH | {"TOKEN_ISSUER": f"{ISSUER}?tenant=1"}, "TOKEN_ISSUER must have no query"),
        (BOTH | {"TOKEN_ISSUER": "https://user:password@issuer.example"}, "TOKEN_ISSUER"),
    ],
)
def test_settings_without_a_source_of_keys_are_refused_with_one_message(
    monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str], words: str
) -> None:
    (problem,) = problems(monkeypatch, settings)

    assert words in problem
    assert SECRET not in problem
    assert "password" not in problem.replace("no password", "")


@pytest.mark.parametrize(
    "settings",
    [
        {"TOKEN_SECRET": SECRET},
        {"TOKEN_SECRET": SECRET, "TOKEN_SECRET_PREVIOUS": SECRET},
        {"TOKEN_SECRET": SECRET, "TOKEN_ISSUER": "any text"},
        {"TOKEN_SECRET": SECRET} | BOTH,
        BOTH,
        BOTH | KEYS,
        BOTH | {"TOKEN_JWKS_FILE": "keys.json", "TOKEN_ISSUER": "any text"},
    ],
)
def test_settings_with_a_source_of_keys_are_accepted(
    monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str]
) -> None:
    assert not problems(monkeypatch, settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (KEYS, "TOKEN_AUDIENCE and TOKEN_ISSUER must be set with an issuer's keys"),
        (BOTH | {"TOKEN_JWKS_FILE": "/nowhere/keys.json"}, "TOKEN_JWKS_FILE: /nowhere/keys.json cannot be read"),
    ],
)
async def test_an_api_does_not_start_where_tokens_for_others_would_be_accepted(
    settings: Mapping[str, str], sentence: str
) -> None:
    servers = {"DATABASE_URL": "postgresql://127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}
    environment = {**servers, "BROADCAST_KEY": BROADCAST_KEY, "LOG_FORMAT": "plain", **settings}
    async with running(["-m", "runtime", "api"], environment=environment) as process:
        assert await process.ends(within_seconds=20) == 2

    assert sentence in process.output[-1]
    assert "Traceback" not in "\n".join(process.output)
