"""Keys at an address: fetched, fetched again when a token names a new one, and kept while the issuer is down."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

import runtime.resources.jwks
from graph.auth.tokens import ExpectedClaims, InvalidTokenError
from runtime.resources.jwks import open_key_set
from runtime.settings import SettingsError
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.processes import eventually


@dataclass(slots=True)
class Issuer:
    """Whoever makes the tokens: its keys by id, served as a JWKS."""

    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    is_down: bool = False
    url: str = ""

    def token(self, key_id: str) -> str:
        claims = {"sub": "demo", "scope": "orders:read", "exp": int(time.time()) + 60}
        return jwt.encode(claims, self.keys[key_id], algorithm="ES256", headers={"kid": key_id})

    async def answer(self, _request: web.BaseRequest) -> web.Response:
        if self.is_down:
            return web.Response(status=503)
        keys = [self._public(key_id) for key_id in self.keys]
        return web.json_response({"keys": keys})

    def _public(self, key_id: str) -> dict[str, Any]:
        public: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(self.keys[key_id].public_key()))
        return public | {"kid": key_id, "alg": "ES256", "use": "sig"}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer(keys={"first": ec.generate_private_key(ec.SECP256R1())})
    async with _served(issuer):
        yield issuer


@asynccontextmanager
async def _served(issuer: Issuer) -> AsyncIterator[None]:
    runner = web.ServerRunner(web.Server(issuer.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    try:
        yield
    finally:
        await runner.cleanup()


async def test_a_token_of_a_new_key_is_accepted_once_the_keys_were_fetched_again(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.resources.jwks, "REFRESH_PAUSE_SECONDS", 0.01)
    async with open_key_set(issuer.url, expected=ExpectedClaims(), telemetry=RecordingTelemetry()) as tokens:
        assert tokens.verify(issuer.token("first")).subject == "demo"
        issuer.keys["second"] = ec.generate_private_key(ec.SECP256R1())
        rotated = issuer.token("second")

        def is_accepted() -> bool:
            try:
                return tokens.verify(rotated).subject == "demo"
            except InvalidTokenError:
                return False

        assert not is_accepted()
        await eventually(is_accepted, within_seconds=5, what="the new key is known")


async def test_the_known_keys_stay_in_force_while_the_issuer_is_down(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.resources.jwks, "REFRESH_PAUSE_SECONDS", 0.01)
    telemetry = RecordingTelemetry()
    async with open_key_set(issuer.url, expected=ExpectedClaims(), telemetry=telemetry) as tokens:
        issuer.is_down = True
        with pytest.raises(InvalidTokenError):
            tokens.verify("no token")
        await eventually(lambda: bool(telemetry.said("token_keys_not_refreshed")), within_seconds=5)

        assert tokens.verify(issuer.token("first")).subject == "demo"


async def test_without_keys_at_the_start_the_process_is_told_why(issuer: Issuer) -> None:
    issuer.is_down = True

    with pytest.raises(SettingsError, match="TOKEN_JWKS_URL: the keys cannot be read"):
        async with asyncio.timeout(5):
            await open_key_set(issuer.url, expected=ExpectedClaims(), telemetry=RecordingTelemetry()).__aenter__()
