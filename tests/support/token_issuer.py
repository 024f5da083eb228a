"""A token issuer: keys, tokens, and a server with its JWKS and its OpenID Connect configuration."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tools.devstack.ports import free_port

AUDIENCE = "fillwire"
ALL_SCOPES = "orders:read orders:place orders:cancel"
Entry = dict[str, Any]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def public_entry(key: PrivateKey, key_id: str, **members: object) -> Entry:
    """Return the key's entry in a JWKS, with these members added or, when None, removed."""
    entry: Entry = {}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        entry = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, rsa.RSAPrivateKey):
        entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        entry = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    entry |= {"kid": key_id, **members}
    return {name: value for name, value in entry.items() if value is not None}


def key_set(*entries: object) -> bytes:
    """Return the text of a JWKS."""
    return json.dumps({"keys": entries}).encode()


@dataclass(slots=True)
class TokenIssuer:
    """An issuer that serves the test's data: its own keys, or any `key_set`, `status` and `configuration`.

    `reads` counts the requests for keys. While `is_stalled` a request is not answered.
    """

    port: int = field(default_factory=free_port)
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=lambda: {"first": new_key()})
    key_set: bytes | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    configuration: dict[str, object] = field(default_factory=dict)
    is_stalled: bool = False
    reads: int = 0

    @property
    def address(self) -> str:
        """The issuer's name, and where its configuration is found."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def keys_url(self) -> str:
        """Where its JWKS is found."""
        return f"{self.address}/keys"

    def token(self, key_id: str = "first", *, key: PrivateKey | None = None, **claims: object) -> str:
        """Sign a token of the account `demo` with the key of that id, or with another one under that id."""
        content = {"sub": "demo", "scope": ALL_SCOPES, "aud": AUDIENCE, "iss": self.address, "exp": time.time() + 3_600}
        return jwt.encode(
            {name: value for name, value in (content | claims).items() if value is not None},
            key or self.keys[key_id],
            algorithm="ES256",
            headers={"kid": key_id},
        )

    def public_keys(self) -> bytes:
        """Return the text of its JWKS."""
        return key_set(*(public_entry(key, key_id) for key_id, key in self.keys.items()))

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Answer a request for the configuration or for the keys."""
        if request.path.endswith("/.well-known/openid-configuration"):
            return web.json_response({"issuer": self.address, "jwks_uri": self.keys_url} | self.configuration)
        self.reads += 1
        if self.is_stalled:
            await asyncio.Event().wait()
        content = self.public_keys() if self.key_set is None else self.key_set
        return web.Response(status=self.status, body=content, headers=self.headers)


@asynccontextmanager
async def serving(issuer: TokenIssuer) -> AsyncIterator[TokenIssuer]:
    """Serve the issuer until the block ends."""
    runner = web.ServerRunner(web.Server(issuer.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", issuer.port).start()
    try:
        yield issuer
    finally:
        await runner.cleanup()
