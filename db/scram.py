"""SCRAM verifiers: the form in which PostgreSQL stores a password. Computed here, so that no password is ever in a
statement.
"""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4_096
"""The server's own default (scram_iterations); each login costs a client that many rounds."""
SALT_BYTES = 16


def scram_verifier(password: str, *, salt: bytes | None = None) -> str:
    """Return the verifier of RFC 5803 in PostgreSQL's spelling, by a new salt unless one is given.

    Raises ValueError for a password that is not printable ASCII: others would require normalization (RFC 4013).
    """
    if not (password.isascii() and password.isprintable() and password):
        raise ValueError("a role's password must be printable ASCII")
    salt = salt or secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
