"""Verifiers of passwords match RFC 7677, and passwords that need normalization are refused."""

import base64
import hashlib
import hmac

import pytest

from db.scram import scram_verifier

# The example of RFC 7677, section 3: user `user`, password `pencil`.
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
AUTH_MESSAGE = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s={SALT},i=4096,c=biws,r={NONCE}".encode()
CLIENT_PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_a_verifier_admits_the_client_of_the_rfcs_example_and_no_other() -> None:
    method, salt, keys = scram_verifier("pencil", salt=base64.b64decode(SALT)).split("$")
    stored_key, server_key = (base64.b64decode(key) for key in keys.split(":"))

    signature = hmac.digest(stored_key, AUTH_MESSAGE, "sha256")
    client_key = bytes(a ^ b for a, b in zip(base64.b64decode(CLIENT_PROOF), signature, strict=True))
    assert (method, salt) == ("SCRAM-SHA-256", f"4096:{SALT}")
    assert hashlib.sha256(client_key).digest() == stored_key
    assert base64.b64encode(hmac.digest(server_key, AUTH_MESSAGE, "sha256")).decode() == SERVER_SIGNATURE
    assert scram_verifier("pencil") != scram_verifier("pencil")


@pytest.mark.parametrize("password", ["", "pässword", "tab\t", "ﬁ"])
def test_a_password_that_would_require_normalization_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        scram_verifier(password)
