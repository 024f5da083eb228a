"""The settings decide which claims of a token count."""

import asyncio
import time
from collections.abc import Mapping

import jwt
import pytest

from graph.auth.tokens import InvalidTokenError
from runtime.observability.logs import get_logger
from runtime.observability.metrics import Metrics
from runtime.observability.telemetry import ProcessTelemetry
from runtime.processes.lifecycle import Process
from runtime.resources.token_keys import open_token_keys
from runtime.settings import load_settings
from tests.support.system import TOKEN_SECRET

SEVERAL = {"sub": "trader7", "accounts": ["acme", "beta"], "scope": "orders:place"}


def process() -> Process:
    """Run an API with the settings of the environment."""
    telemetry = ProcessTelemetry(Metrics(), get_logger())
    return Process(name="api", settings=load_settings(), telemetry=telemetry, stop=asyncio.Event())


def signed(claims: Mapping[str, object]) -> str:
    return jwt.encode({**claims, "exp": time.time() + 60}, TOKEN_SECRET, algorithm="HS256")


async def test_the_accounts_of_a_token_are_those_of_the_claim_that_the_settings_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKEN_SECRET", TOKEN_SECRET)
    monkeypatch.setenv("TOKEN_ACCOUNT_CLAIM", "accounts")

    async with open_token_keys(process()) as keys:
        bearer = keys.verifier.verify(signed(SEVERAL))
        with pytest.raises(InvalidTokenError):
            keys.verifier.verify(signed({"sub": "trader7"}))

    assert (bearer.subject, bearer.account_ids) == ("trader7", ("acme", "beta"))


async def test_audience_and_issuer_of_a_token_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_SECRET", TOKEN_SECRET)
    monkeypatch.setenv("TOKEN_AUDIENCE", "fillwire")
    monkeypatch.setenv("TOKEN_ISSUER", "https://issuer.example")

    async with open_token_keys(process()) as keys:
        meant = signed({"sub": "demo", "aud": "fillwire", "iss": "https://issuer.example"})
        assert keys.verifier.verify(meant).subject == "demo"
        for other in (
            {"aud": "other", "iss": "https://issuer.example"},
            {"aud": "fillwire", "iss": "https://other.example"},
        ):
            with pytest.raises(InvalidTokenError):
                keys.verifier.verify(signed({"sub": "demo", **other}))
