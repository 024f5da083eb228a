"""Tokens for development: signed with the secret of the local folder, accepted only by the processes of `./dev up`."""

import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from domain.model.accounts import ACCOUNT_PATTERN, AccountRule
from tools.devstack.errors import LocalStackError
from tools.devstack.folder import stored_secret, write_secret

SECRET_NAME = "token-secret"  # noqa: S105  # A file's name.
TOKEN_NAME = "token"  # noqa: S105  # A file's name.
URL_NAME = "graphql-url"
"""Beside the token: where `./dev watch` finds the API that accepts it."""
ALGORITHM = "HS256"
SUBJECT = "sub"
DEMO_ACCOUNT = "demo"
DEMO_SCOPES = ("orders:read", "orders:place", "orders:cancel")
TTL_SECONDS = 30 * 24 * 3600
TOKEN_LIFETIME_MAX_SECONDS = 100 * 365 * 24 * 3600
"""What the processes of the local stack accept; theirs is a day when nobody says otherwise."""


def signing_secret(folder: Path) -> str:
    """Return the secret of TOKEN_SECRET, or else the folder's own, made at random the first time."""
    return os.environ.get("TOKEN_SECRET") or stored_secret(folder / SECRET_NAME)


def checked_accounts(accounts: Sequence[str]) -> Sequence[str]:
    """Return the accounts; raise LocalStackError for one that the account rule refuses, and for several in `sub`."""
    rule = AccountRule(pattern=os.environ.get("ACCOUNT_PATTERN") or ACCOUNT_PATTERN)
    wrong = [account for account in accounts if not rule.allows(account)]
    if wrong:
        raise LocalStackError(f"{wrong[0]!r} cannot be an account's id (ACCOUNT_PATTERN: {rule.pattern})")
    if len(accounts) > 1 and _account_claim() == SUBJECT:
        raise LocalStackError("several accounts need TOKEN_ACCOUNT_CLAIM: the claim that names them")
    return accounts


def mint(*, secret: str, accounts: Sequence[str], scopes: Sequence[str], ttl_seconds: int = TTL_SECONDS) -> str:
    """Return a token that allows its holder to act for the accounts within `scopes`, for `ttl_seconds` from now.

    The first account is its subject, too.
    """
    import jwt  # noqa: PLC0415  # Importing its cryptography would delay the start of the stack by a tenth of a second.

    now = int(time.time())
    claims = {"scope": " ".join(scopes), "iat": now, "exp": now + ttl_seconds, "jti": secrets.token_hex(8)}
    claims |= {_account_claim(): list(accounts), SUBJECT: accounts[0]}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def write_demo_token(folder: Path) -> Path:
    """Write a new token of the demo account into the folder, readable only by its owner, and return its path."""
    path = folder / TOKEN_NAME
    write_secret(path, mint(secret=signing_secret(folder), accounts=[DEMO_ACCOUNT], scopes=DEMO_SCOPES))
    return path


def _account_claim() -> str:
    return os.environ.get("TOKEN_ACCOUNT_CLAIM") or SUBJECT
