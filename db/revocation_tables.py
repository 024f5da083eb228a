"""The tables of revoked tokens. Operators write them, every API process reads what is new twice a second."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from db.columns import ID_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS, MOMENT, NAME, at_most, metadata
from domain.model.revocations import TOKEN_ID_MAX_CHARACTERS

NOBODY = ""
"""Stands for no account and for no token, where the id of one may stand: none is empty."""

token_revocations = Table(
    "token_revocations",
    metadata,
    # One row for an account and one for a token, however often it is revoked, so that the table stays bounded.
    Column("account_id", NAME, nullable=False),
    Column("token_id", NAME, nullable=False),
    Column("issued_before", MOMENT),
    Column("revoked_at", MOMENT, nullable=False),
    Column("revoked_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    # Rises with every write, in the order of the commits.
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "token_id"),
    UniqueConstraint("position"),
    CheckConstraint(f"char_length(account_id) <= {ID_MAX_CHARACTERS}", name="account_id"),
    CheckConstraint(f"char_length(token_id) <= {TOKEN_ID_MAX_CHARACTERS}", name="token_id"),
    CheckConstraint("(account_id = '') <> (token_id = '')", name="subject"),
    CheckConstraint("(issued_before IS NULL) = (account_id = '')", name="issued_before"),
    at_most("revoked_by", ID_MAX_CHARACTERS),
    at_most("reason", MESSAGE_MAX_CHARACTERS),
)
Index("token_revocations_expires_at", token_revocations.c.expires_at)

token_revocation_head = Table(
    "token_revocation_head",
    metadata,
    # One row, created by the first revocation: each writer locks it until the commit.
    Column("id", SmallInteger, nullable=False, server_default=text("1")),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("id"),
    CheckConstraint("id = 1", name="id"),
)
