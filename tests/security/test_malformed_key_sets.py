"""An issuer with a malformed or unreachable key set does not stop an API or invalidate a valid token."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import websockets

from tests.support.audited_api import AuditedApi, running_api
from tests.support.processes import eventually
from tests.support.token_issuer import AUDIENCE, TokenIssuer, key_set, new_key, public_entry, serving

WITHIN_SECONDS = 20
REFRESH = {"TOKEN_JWKS_REFRESH_SECONDS": "0.1"}
DEEP = b"[" * 150_000


@dataclass(kw_only=True)
class Asked:
    """An API and what it answers to the issuer's tokens."""

    api: AuditedApi
    issuer: TokenIssuer

    async def status(self, token: str) -> int:
        """Return the HTTP status of a request with the token."""
        status, _ = await self.api.post({"query": "{ viewer { accountId } }"}, authorization=f"Bearer {token}")
        return status

    async def becomes(self, status: int, state: str) -> None:
        """Wait until /readyz answers so."""

        async def is_so() -> bool:
            async with self.api.session.get(f"{self.api.probes_url}/readyz") as response:
                return (response.status, (await response.json())["checks"]["token_keys"]) == (status, state)

        await eventually(is_so, within_seconds=WITHIN_SECONDS, what=f"/readyz answers {status} {state}")

    async def metric(self, name: str) -> float:
        """Return the value of a series."""
        async with self.api.session.get(f"{self.api.probes_url}/metrics") as response:
            lines = (await response.text()).splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f"fillwire_{name} ")))

    async def close_code(self, token: str) -> int:
        """Return the code with which a websocket is closed that introduces itself with the token."""
        url = self.api.url.replace("http", "ws")
        subprotocol = websockets.Subprotocol("graphql-transport-ws")
        async with websockets.connect(url, subprotocols=[subprotocol]) as socket:
            payload = {"Authorization": f"Bearer {token}"}
            await socket.send(orjson.dumps({"type": "connection_init", "payload": payload}).decode())
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code


@pytest.fixture
async def issuer() -> AsyncIterator[TokenIssuer]:
    async with serving(TokenIssuer()) as issuer:
        yield issuer


@pytest.fixture
def servers(shared_database_url: str, redis_url: str) -> Mapping[str, str]:
    return {"database_url": shared_database_url, "redis_url": redis_url}


async def test_a_malformed_key_set_ends_no_api_and_no_restart(
    issuer: TokenIssuer, servers: Mapping[str, str], tmp_path: Path
) -> None:
    cache = tmp_path / "keys.json"
    settings = {
        "TOKEN_SECRET": "",
        "TOKEN_ISSUER": issuer.address,
        "TOKEN_AUDIENCE": AUDIENCE,
        "TOKEN_JWKS_CACHE_FILE": str(cache),
        **REFRESH,
    }
    good = public_entry(issuer.keys["first"], "first")
    token = issuer.token("first")

    # Found by issuer discovery only.
    async with running_api(**servers, settings=settings) as api:
        asked = Asked(api=api, issuer=issuer)
        await asked.becomes(200, "ok")
        assert await asked.status(token) == 200

        issuer.key_set = key_set(good, good | {"kid": ["x"]})
        await eventually(lambda: _has(asked, "token_keys_skipped", 1), within_seconds=WITHIN_SECONDS)
        assert await asked.status(token) == 200

        issuer.key_set = DEEP
        await asked.becomes(200, "stale")
        assert await asked.status(token) == 200
        assert await asked.status(issuer.token("second", key=new_key())) == 401
        assert await asked.metric("token_keys") == 1
        await eventually(lambda: _has(asked, "token_keys_age_seconds", 0.1), within_seconds=WITHIN_SECONDS)

    async with running_api(**servers, settings=settings) as api:
        asked = Asked(api=api, issuer=issuer)
        await asked.becomes(200, "stale")
        assert await asked.status(token) == 200


async def test_an_api_that_knows_no_key_is_not_ready_and_calls_no_token_invalid(
    issuer: TokenIssuer, servers: Mapping[str, str]
) -> None:
    issuer.key_set = DEEP
    settings = {
        "TOKEN_SECRET": "",
        "TOKEN_JWKS_URL": issuer.keys_url,
        "TOKEN_ISSUER": issuer.address,
        "TOKEN_AUDIENCE": AUDIENCE,
        **REFRESH,
    }
    token = issuer.token("first")
    async with running_api(**servers, settings=settings) as api:
        asked = Asked(api=api, issuer=issuer)
        await asked.becomes(503, "no keys")
        assert await asked.status(token) == 503
        assert await asked.close_code(token) == 1013

        issuer.key_set = None
        await asked.becomes(200, "ok")
        assert await asked.status(token) == 200
        assert await asked.close_code(issuer.token("first", aud="another system")) == 4401


async def _has(asked: Asked, name: str, at_least: float) -> bool:
    return await asked.metric(name) >= at_least
