"""The JWKS of a token issuer: each key is judged by itself, and no text raises anything but UnusableKeySetError."""

import base64
import json
from contextlib import suppress

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import example, given
from hypothesis import strategies as st

from graph.auth.key_set import KEYS_MAX, KeySet, KeySetHolder, UnusableKeySetError, parse_key_set
from tests.support.token_issuer import Entry, key_set, new_key, public_entry

GOOD_KEY, OTHER_KEY = new_key(), new_key()
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EDWARDS_KEY = ed25519.Ed25519PrivateKey.generate()
GOOD = public_entry(GOOD_KEY, "good")
RSA_ENTRY = public_entry(RSA_KEY, "rsa")
RFC_7638 = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
    "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
    "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
    "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def number(value: int) -> str:
    """Return the number as encoded in a JWK."""
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()


def private(key: ec.EllipticCurvePrivateKey) -> Entry:
    return public_entry(key, "bad", d=number(key.private_numbers().private_value))


MODULUS = RSA_KEY.public_key().public_numbers().n
UNUSABLE: dict[str, object] = {
    "no object": "good",
    "null": None,
    "a list as its id": GOOD | {"kid": ["x"]},
    "an object as its id": GOOD | {"kid": {}},
    "a number as its id": GOOD | {"kid": 1},
    "no id": public_entry(GOOD_KEY, "bad", kid=None),
    "an empty id": GOOD | {"kid": ""},
    "an id of 257 characters": GOOD | {"kid": "x" * 257},
    "a list as its kind": GOOD | {"kty": ["EC"]},
    "another kind": GOOD | {"kty": "PQC"},
    "a symmetric key": {"kty": "oct", "kid": "bad", "k": "c2VjcmV0" * 8},
    "a symmetric key in a public one": GOOD | {"kid": "bad", "k": "c2VjcmV0"},
    "a private key": private(OTHER_KEY),
    "a private RSA key": RSA_ENTRY | {"d": number(RSA_KEY.private_numbers().d)},
    "for encryption": GOOD | {"use": "enc"},
    "a list as its use": GOOD | {"use": ["sig"]},
    "not for verifying": GOOD | {"key_ops": ["encrypt"]},
    "a text as its operations": GOOD | {"key_ops": "verify"},
    "the algorithm of another kind": GOOD | {"alg": "RS256"},
    "a symmetric algorithm": RSA_ENTRY | {"alg": "HS256"},
    "no signature": RSA_ENTRY | {"alg": "none"},
    "an algorithm that we do not verify": RSA_ENTRY | {"alg": "PS256"},
    "a list as its algorithm": GOOD | {"alg": ["ES256"]},
    "null as its algorithm": GOOD | {"alg": None},
    "no point": public_entry(GOOD_KEY, "bad", x=None),
    "a point beside the curve": GOOD | {"x": "AAAA" * 11},
    "a number as its point": GOOD | {"x": 5},
    "no base64": GOOD | {"x": "\u00e9" * 43},
    "another curve": public_entry(ec.generate_private_key(ec.SECP384R1()), "bad"),
    "another curve of 256 bits": public_entry(ec.generate_private_key(ec.SECP256K1()), "bad"),
    "an unknown curve": GOOD | {"crv": "P-257"},
    "Ed448": {"kty": "OKP", "crv": "Ed448", "kid": "bad", "x": "A" * 76},
    "a key for exchanging keys": {"kty": "OKP", "crv": "X25519", "kid": "bad", "x": "A" * 43},
    "RSA of 1024 bits": RSA_ENTRY | {"n": number(MODULUS >> 1_024 | 1)},
    "RSA of 16 384 bits": RSA_ENTRY | {"n": number(2**16_383 + 1)},
    "RSA of 600 000 bits": RSA_ENTRY | {"n": "_" * 100_000},
    "an even RSA modulus": RSA_ENTRY | {"n": number(MODULUS - 1)},
    "an RSA exponent of 1": RSA_ENTRY | {"e": number(1)},
    "an RSA exponent of 3": RSA_ENTRY | {"e": number(3)},
    "an even RSA exponent": RSA_ENTRY | {"e": number(65_538)},
    "an RSA exponent as large as the modulus": RSA_ENTRY | {"e": number(MODULUS - 2)},
    "an empty RSA modulus": RSA_ENTRY | {"n": ""},
}


@pytest.mark.parametrize("bad", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_key_is_skipped_and_the_others_are_used(bad: object) -> None:
    keys = parse_key_set(key_set(bad, GOOD, bad))

    assert set(keys.keys) == {("good", "ES256")}
    assert sum(keys.skipped.values()) == 2

    with pytest.raises(UnusableKeySetError):
        parse_key_set(key_set(bad))


@pytest.mark.parametrize(
    ("key", "algorithm"), [(GOOD_KEY, "ES256"), (RSA_KEY, "RS256"), (EDWARDS_KEY, "EdDSA")], ids=["EC", "RSA", "OKP"]
)
def test_a_key_without_an_algorithm_has_the_one_of_its_kind(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, algorithm: str
) -> None:
    inferred = parse_key_set(key_set(public_entry(key, "one", alg=None)))
    named = parse_key_set(key_set(public_entry(key, "one", alg=algorithm, use="sig", key_ops=["verify"])))

    assert set(inferred.keys) == set(named.keys) == {("one", algorithm)}
    assert inferred.thumbprints == named.thumbprints


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": "good"}',
        b'{"keys": [NaN]}',
        b"[" * 150_000,
        b'{"keys":' + b"[" * 150_000,
        b'{"keys": [' + b'{"kid":' * 2_000 + b"1" + b"}" * 2_000 + b"]}",
        b'{"keys": [' + b"9" * 100_000 + b"]}",
        key_set(GOOD) + b" " * 262_144,
    ],
)
def test_a_text_without_a_usable_key_is_refused(text: bytes) -> None:
    with pytest.raises(UnusableKeySetError):
        parse_key_set(text)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
JSON = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=4), SCALARS, max_size=2)
MEMBERS = st.sampled_from(["kid", "kty", "crv", "x", "y", "n", "e", "d", "k", "use", "alg", "key_ops", "x5c"])
WORDS = st.sampled_from(["EC", "RSA", "OKP", "oct", "P-256", "Ed25519", "sig", "ES256", "RS256", "", "AQAB", "A" * 43])


@given(text=st.binary(max_size=64))
@example(text=b"[" * 150_000)
def test_no_bytes_raise_anything_else(text: bytes) -> None:
    with suppress(UnusableKeySetError):
        parse_key_set(text)


@given(content=JSON)
def test_no_json_raises_anything_else(content: object) -> None:
    with suppress(UnusableKeySetError):
        parse_key_set(json.dumps({"keys": content}).encode())


@given(changes=st.dictionaries(MEMBERS, WORDS | JSON, max_size=4), entry=st.sampled_from([GOOD, RSA_ENTRY]))
def test_no_entry_affects_the_next_one(changes: dict[str, object], entry: Entry) -> None:
    keys = parse_key_set(key_set(entry | changes, public_entry(EDWARDS_KEY, "last")))

    assert ("last", "EdDSA") in keys.keys


@given(changes=st.dictionaries(MEMBERS, WORDS, max_size=3), entry=st.sampled_from([GOOD, RSA_ENTRY]))
def test_a_stored_key_loads_as_the_same_key(changes: dict[str, str], entry: Entry) -> None:
    read = parse_key_set(key_set(entry | changes, public_entry(EDWARDS_KEY, "last")))
    kept = parse_key_set(orjson.dumps({"keys": [key.as_entry() for key in read.keys.values()]}))

    assert kept.keys.keys() == read.keys.keys()
    assert kept.thumbprints == read.thumbprints
    assert not kept.skipped


def test_a_thumbprint_is_that_of_the_standard_for_any_form_of_the_key() -> None:
    exponent_with_a_zero = RFC_7638 | {"e": "AAEAAQ", "kid": "another id"}

    assert parse_key_set(key_set(RFC_7638)).thumbprints == {THUMBPRINT}
    assert parse_key_set(key_set(exponent_with_a_zero)).thumbprints == {THUMBPRINT}


def test_of_two_keys_with_one_id_and_algorithm_the_first_counts() -> None:
    second = public_entry(OTHER_KEY, "good")

    keys = parse_key_set(key_set(GOOD, GOOD, second))

    assert keys.thumbprints == parse_key_set(key_set(GOOD)).thumbprints
    assert keys.skipped == {"another key has the same id and algorithm": 1}


def test_keys_of_two_kinds_may_share_an_id() -> None:
    keys = parse_key_set(key_set(GOOD, public_entry(RSA_KEY, "good")))

    assert set(keys.keys) == {("good", "ES256"), ("good", "RS256")}
    assert not keys.skipped


def test_no_more_keys_are_read_than_the_bound() -> None:
    keys = parse_key_set(key_set(*[GOOD] * KEYS_MAX, public_entry(OTHER_KEY, "beyond")))

    assert set(keys.keys) == {("good", "ES256")}
    assert keys.skipped == {f"more than {KEYS_MAX} keys": 1}


def test_a_listener_is_called_when_keys_are_added_or_removed_and_not_when_reordered() -> None:
    good, other = GOOD, public_entry(OTHER_KEY, "other")
    heard: list[frozenset[str]] = []
    held = KeySetHolder()
    held.on_change(heard.append)

    first = parse_key_set(key_set(good, other))
    assert held.replace(first)
    assert not held.replace(parse_key_set(key_set(other, good | {"use": "sig"})))
    rest = parse_key_set(key_set(other))
    assert held.replace(rest)

    assert heard == [first.thumbprints, rest.thumbprints]
    assert isinstance(held.keys, KeySet)
    assert held.keys.thumbprints == rest.thumbprints
