"""Tokens: authentication. A verifier reads a Bearer from a JWT or refuses it, without a detailed reason.

The algorithms are fixed by the kind of key, never taken from the token.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import jwt

from domain.model.accounts import is_account_id
from domain.model.revocations import TOKEN_ID_MAX_CHARACTERS, is_printable
from graph.auth.accounts import account_ids_of
from graph.auth.bearer import TOKEN_LEEWAY, Bearer, is_operator
from graph.auth.key_set import KeySetHolder
from graph.auth.scope_claims import read_scopes
from graph.auth.signing_key import ALGORITHMS

TOKEN_MAX_CHARACTERS = 8_192
HMAC_ALGORITHMS = ("HS256",)
KEY_SET_ALGORITHMS = frozenset(ALGORITHMS.values())


class InvalidTokenError(Exception):
    """There is no valid token."""


class EndedTokenError(InvalidTokenError):
    """The token was valid, and is no more: it has expired or was revoked."""


class MissingTokenError(InvalidTokenError):
    """There is no bearer token at all."""


class UnknownKeyError(InvalidTokenError):
    """The token names a key that is not in force: the issuer may have made a new one."""


class VerificationUnavailableError(Exception):
    """No token can be verified at the moment: it may be valid, so clients are asked to retry."""


class TokenVerifier(Protocol):
    """Verifies tokens."""

    def verify(self, token: str) -> Bearer:
        """Return the bearer. Raise InvalidTokenError or VerificationUnavailableError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedClaims:
    """The required audience and issuer of a token, where the operator wants them checked, and the claim with its
    accounts.
    """

    audience: str | None = None
    issuer: str | None = None
    account_claim: str = "sub"


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacTokens:
    """Tokens signed with a secret shared with the issuer, or with the previous one."""

    secret: str
    previous_secret: str | None = None
    expected: ExpectedClaims = ExpectedClaims()

    def verify(self, token: str) -> Bearer:
        """Return the bearer. Raise InvalidTokenError."""
        try:
            return self._verify(token, self.secret)
        except EndedTokenError:
            raise
        except InvalidTokenError:
            if self.previous_secret is None:
                raise
            return self._verify(token, self.previous_secret)

    def _verify(self, token: str, secret: str) -> Bearer:
        claims = _claims(token, secret.encode(), algorithms=HMAC_ALGORITHMS, expected=self.expected)
        return _bearer(claims, account_claim=self.expected.account_claim, key_id=secret_key_id(secret))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySetTokens:
    """Tokens signed with one of the public keys in force, found by the token's key id and algorithm.

    The algorithm that a token names only chooses among the keys; each key has one, with which it verifies.
    """

    keys: KeySetHolder
    expected: ExpectedClaims = ExpectedClaims()

    def verify(self, token: str) -> Bearer:
        """Return the bearer. Raise InvalidTokenError, its UnknownKeyError, or VerificationUnavailableError."""
        keys = self.keys.keys.keys
        if not keys:
            raise VerificationUnavailableError
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise InvalidTokenError from None
        key_id, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(key_id, str) or not isinstance(algorithm, str) or algorithm not in KEY_SET_ALGORITHMS:
            raise InvalidTokenError
        key = keys.get((key_id, algorithm))
        if key is None:
            raise UnknownKeyError
        claims = _claims(token, key.jwk, algorithms=(key.algorithm,), expected=self.expected)
        return _bearer(claims, account_claim=self.expected.account_claim, key_id=key.thumbprint)


def secret_key_id(secret: str) -> str:
    """Return the id of a shared secret: the same in every process, without disclosing the secret."""
    return hmac.digest(secret.encode(), b"fillwire token key id", "sha256").hex()


def read_bearer(authorization: object) -> str:
    """Return the token in an Authorization header or in the same field of a websocket's first message."""
    if not isinstance(authorization, str):
        raise MissingTokenError
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise MissingTokenError
    if len(token) > TOKEN_MAX_CHARACTERS:
        raise InvalidTokenError
    return token.strip()


def _claims(
    token: str, key: bytes | jwt.PyJWK, *, algorithms: Sequence[str], expected: ExpectedClaims
) -> Mapping[str, Any]:
    """Return the claims of a token with a valid signature, in its time, of the expected issuer and audience."""
    try:
        return jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            audience=expected.audience,
            issuer=expected.issuer,
            leeway=TOKEN_LEEWAY,
            # A token made out for somebody in particular is taken as well when no audience is configured.
            options={"require": ["exp", "sub"], "verify_aud": expected.audience is not None},
        )
    except jwt.ExpiredSignatureError:
        raise EndedTokenError from None  # Its signature is valid: that is checked first.
    except (jwt.PyJWTError, ValueError, OverflowError, OSError, TypeError):
        raise InvalidTokenError from None


def _bearer(claims: Mapping[str, Any], *, account_claim: str, key_id: str) -> Bearer:
    """Return the bearer that the claims describe. Raise InvalidTokenError."""
    subject, token_id = claims["sub"], claims.get("jti") or None
    # The subject is stored in the trail of operators' actions, in columns for an account's id.
    if not is_account_id(subject):
        raise InvalidTokenError
    if token_id is not None and not is_printable(token_id, max_characters=TOKEN_ID_MAX_CHARACTERS):
        raise InvalidTokenError
    try:
        scopes = read_scopes(claims)
        account_ids = account_ids_of(claims, account_claim, may_be_none=is_operator(scopes))
    except ValueError:
        raise InvalidTokenError from None
    is_issue_time_known = "iat" in claims
    return Bearer(
        subject=subject,
        account_ids=account_ids,
        scopes=scopes,
        token_expires_at=_moment(claims["exp"]),
        issued_at=_moment(claims["iat"]) if is_issue_time_known else datetime.now(UTC),
        is_issue_time_known=is_issue_time_known,
        token_id=token_id,
        key_id=key_id,
    )


def _moment(numeric_date: Any) -> datetime:  # noqa: ANN401 - a claim may hold anything
    try:
        return datetime.fromtimestamp(float(numeric_date), UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        raise InvalidTokenError from None
