"""One key of a JWKS (RFC 7517): whether it may verify tokens, and its thumbprint. Pure.

An issuer publishes keys for other uses too, and can make errors: a key is refused separately, with a fixed message
without its content, and does not affect other keys.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.utils import base64url_encode

KEY_ID_MAX_CHARACTERS = 256
RSA_MIN_BITS = 2_048
"""RFC 7518, section 3.3."""
RSA_MAX_BITS = 8_192
RSA_EXPONENT_MIN = 65_537
"""FIPS 186-5, A.1.1."""
RSA_EXPONENT_MAX = 2**32 - 1
"""An exponent of the modulus' size makes a verification a hundred times as expensive."""

PUBLIC_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
}
"""The members that are the public key, in the order of RFC 7638, section 3.2, and RFC 8037, section 2."""
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
ALGORITHMS: Mapping[type, str] = {RSAPublicKey: "RS256", EllipticCurvePublicKey: "ES256", Ed25519PublicKey: "EdDSA"}
"""The only algorithm of each kind of key; of elliptic curves P-256 alone has one."""


class UnusableKeyError(ValueError):
    """The key cannot verify tokens; the message has the reason and nothing of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A public key of the issuer. `thumbprint` identifies it by its content (RFC 7638, SHA-256), independent of its
    id.
    """

    key_id: str
    algorithm: str
    thumbprint: str
    jwk: jwt.PyJWK

    def as_entry(self) -> dict[str, str]:
        """Return the entry of a JWKS from which the same key is read again."""
        return {"kid": self.key_id, "alg": self.algorithm, "use": "sig"} | _public_members(self.jwk)


def read_signing_key(entry: object) -> SigningKey:
    """Return the key of one entry of a JWKS. Raise UnusableKeyError for everything else."""
    if not isinstance(entry, dict):
        raise UnusableKeyError("no object")
    key_id = entry.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= KEY_ID_MAX_CHARACTERS:
        raise UnusableKeyError("no usable key id")
    _check_purpose(entry)
    jwk = _load(entry)
    algorithm = _algorithm_of(jwk.key)
    if entry.get("alg", algorithm) != algorithm:
        raise UnusableKeyError("another algorithm than RS256, ES256 and EdDSA, or one of another kind of key")
    return SigningKey(key_id=key_id, algorithm=algorithm, thumbprint=_thumbprint(jwk), jwk=jwk)


def _check_purpose(entry: Mapping[str, Any]) -> None:
    """Raise UnusableKeyError for a key that is not published to verify signatures (RFC 7517, sections 4.2, 4.3)."""
    if not PRIVATE_MEMBERS.isdisjoint(entry):
        raise UnusableKeyError("a private or symmetric key: anyone who reads it can make tokens")
    if entry.get("use", "sig") != "sig":
        raise UnusableKeyError("not for signatures")
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeyError("not for verifying")


def _load(entry: Mapping[str, Any]) -> jwt.PyJWK:
    """Return the key, made only of its public members."""
    kind = entry.get("kty")
    names = PUBLIC_MEMBERS.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise UnusableKeyError("another kind of key than RSA, EC and OKP")
    members = {name: entry.get(name) for name in names}
    if not all(isinstance(value, str) for value in members.values()):
        raise UnusableKeyError("a member is missing or no text")
    try:
        return jwt.PyJWK(members)
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
        raise UnusableKeyError("no key of its kind") from None


def _algorithm_of(key: object) -> str:
    """Return the algorithm of that kind of key. Raise UnusableKeyError for a key without, or one that is too weak."""
    if isinstance(key, RSAPublicKey):
        _check_rsa(key)
    elif isinstance(key, EllipticCurvePublicKey) and key.curve.name != "secp256r1":
        raise UnusableKeyError("another curve than P-256")
    for kind, algorithm in ALGORITHMS.items():
        if isinstance(key, kind):
            return algorithm
    raise UnusableKeyError("another curve than Ed25519")


def _check_rsa(key: RSAPublicKey) -> None:
    numbers = key.public_numbers()
    if not RSA_MIN_BITS <= key.key_size <= RSA_MAX_BITS or numbers.n % 2 == 0:
        raise UnusableKeyError(f"an RSA modulus that is even or has not {RSA_MIN_BITS} to {RSA_MAX_BITS} bits")
    if not RSA_EXPONENT_MIN <= numbers.e <= RSA_EXPONENT_MAX:
        raise UnusableKeyError(f"an RSA exponent that is not {RSA_EXPONENT_MIN} to {RSA_EXPONENT_MAX}")


def _public_members(jwk: jwt.PyJWK) -> dict[str, str]:
    """Return the public key in the order of PUBLIC_MEMBERS, in the one form that its numbers have."""
    members = jwk.Algorithm.to_jwk(jwk.key, as_dict=True)
    return {name: members[name] for name in PUBLIC_MEMBERS[members["kty"]]}


def _thumbprint(jwk: jwt.PyJWK) -> str:
    return base64url_encode(hashlib.sha256(orjson.dumps(_public_members(jwk))).digest()).decode()
