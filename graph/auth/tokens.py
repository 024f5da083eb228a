"""Tokens: who may ask. A verifier reads a Bearer from a JWT or refuses it; it never says why in detail.

The algorithms are fixed by the kind of key, never taken from the token.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import jwt

from domain.model.accounts import is_account_id
from graph.auth.accounts import account_ids_of
from graph.auth.bearer import Bearer, is_operator

TOKEN_LEEWAY_SECONDS = 5
TOKEN_MAX_CHARACTERS = 8_192
HMAC_ALGORITHMS = ("HS256",)
KEY_SET_ALGORITHMS = ("RS256", "ES256", "EdDSA")


class InvalidTokenError(Exception):
    """There is no valid token."""


class TokenVerifier(Protocol):
    """Knows which tokens are valid."""

    def verify(self, token: str) -> Bearer:
        """The bearer; raises InvalidTokenError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedClaims:
    """What a token must be made out for and by whom, where the operator wants that checked, and which claim names its
    accounts."""

    audience: str | None = None
    issuer: str | None = None
    account_claim: str = "sub"


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacTokens:
    """Tokens signed with a secret that this system shares with whoever makes them."""

    secret: str
    expected: ExpectedClaims = ExpectedClaims()

    def verify(self, token: str) -> Bearer:
        """The bearer; raises InvalidTokenError."""
        return _verify(token, self.secret.encode(), algorithms=HMAC_ALGORITHMS, expected=self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySetTokens:
    """Tokens signed with one of a set of public keys, found by the token's key id."""

    keys: Mapping[str, jwt.PyJWK]
    expected: ExpectedClaims = ExpectedClaims()

    def verify(self, token: str) -> Bearer:
        """The bearer; raises InvalidTokenError."""
        try:
            key = self.keys[jwt.get_unverified_header(token)["kid"]]
        except (jwt.PyJWTError, KeyError, TypeError):
            raise InvalidTokenError from None
        return _verify(token, key, algorithms=(key.algorithm_name,), expected=self.expected)


def read_key_set(path: Path, *, expected: ExpectedClaims | None = None) -> KeySetTokens:
    """The verifier for a JWKS file. Raises OSError when it cannot be read, and ValueError as `parse_key_set` does."""
    return parse_key_set(path.read_text(encoding="utf-8"), expected=expected)


def parse_key_set(text: str | bytes, *, expected: ExpectedClaims | None = None) -> KeySetTokens:
    """The verifier for the text of a JWKS. Keys without id, or for another algorithm than ours, are left out.

    Raises ValueError when no key in it can be used.
    """
    try:
        key_set = jwt.PyJWKSet.from_dict(json.loads(text))
    except (jwt.PyJWTError, AttributeError, TypeError) as error:
        raise ValueError(f"no usable key set: {error}") from error
    keys = {key.key_id: key for key in key_set.keys if key.key_id and key.algorithm_name in KEY_SET_ALGORITHMS}
    if not keys:
        raise ValueError(f"no key with an id and one of the algorithms {', '.join(KEY_SET_ALGORITHMS)}")
    return KeySetTokens(keys=keys, expected=expected or ExpectedClaims())


def read_bearer(authorization: object) -> str:
    """The token in an Authorization header or in the same field of a websocket's first message."""
    if not isinstance(authorization, str):
        raise InvalidTokenError
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not 0 < len(token) <= TOKEN_MAX_CHARACTERS:
        raise InvalidTokenError
    return token.strip()


def _verify(token: str, key: bytes | jwt.PyJWK, *, algorithms: Sequence[str], expected: ExpectedClaims) -> Bearer:
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            audience=expected.audience,
            issuer=expected.issuer,
            leeway=TOKEN_LEEWAY_SECONDS,
            # A token made out for somebody in particular is taken as well when no audience is configured.
            options={"require": ["exp", "sub"], "verify_aud": expected.audience is not None},
        )
        return _bearer(claims, expected.account_claim)
    except (jwt.PyJWTError, ValueError, OverflowError, OSError, TypeError):
        raise InvalidTokenError from None


def _bearer(claims: Mapping[str, Any], account_claim: str) -> Bearer:
    subject = claims["sub"]
    scope = claims.get("scope", "")
    # The subject stands in the trail of what operators did, in columns that hold an account's id.
    if not isinstance(scope, str) or not is_account_id(subject):
        raise InvalidTokenError
    scopes = frozenset(scope.split())
    return Bearer(
        subject=subject,
        account_ids=account_ids_of(claims, account_claim, may_be_none=is_operator(scopes)),
        scopes=scopes,
        token_expires_at=datetime.fromtimestamp(float(claims["exp"]), UTC),
    )
