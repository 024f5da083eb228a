"""The tables of the audit trail: the operators' actions with their chain, and the seals of the accounts' changes.

The function `append_operator_action` and the trigger that keeps `operator_actions` append-only are in migration 0006.
"""

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
    Uuid,
    text,
)

from db.columns import CODE_MAX_CHARACTERS, ID_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS, MOMENT, NAME, at_most, metadata

ACTOR_MAX_CHARACTERS = 512
"""Of an actor, of the id of its token, and of its address."""

operator_actions = Table(
    "operator_actions",
    metadata,
    # The place in the chain: no gaps, in the order of commits.
    Column("sequence", BigInteger, nullable=False, autoincrement=False),
    Column("id", Uuid, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("actor", Text, nullable=False),
    Column("token_id", Text),
    Column("address", Text),
    Column("action", Text, nullable=False),
    # NULL: all accounts, or none in particular.
    Column("account_id", NAME),
    Column("order_id", Uuid),
    Column("reason", Text, nullable=False),
    # JSON as text: its bytes are hashed, and jsonb would change them.
    Column("before", Text),
    Column("after", Text),
    Column("hash", NAME, nullable=False),
    PrimaryKeyConstraint("sequence"),
    UniqueConstraint("id"),
    at_most("actor", ACTOR_MAX_CHARACTERS),
    at_most("token_id", ACTOR_MAX_CHARACTERS),
    at_most("address", ACTOR_MAX_CHARACTERS),
    at_most("action", CODE_MAX_CHARACTERS),
    at_most("account_id", ID_MAX_CHARACTERS),
    CheckConstraint(f"char_length(reason) <= {MESSAGE_MAX_CHARACTERS}", name="reason"),
)
Index(
    "operator_actions_account",
    operator_actions.c.account_id,
    operator_actions.c.sequence,
    postgresql_where=operator_actions.c.account_id.is_not(None),
)
Index(
    "operator_actions_order",
    operator_actions.c.order_id,
    operator_actions.c.sequence,
    postgresql_where=operator_actions.c.order_id.is_not(None),
)

operator_action_head = Table(
    "operator_action_head",
    metadata,
    # The only row: the end of the chain, locked by each append.
    Column("id", SmallInteger, nullable=False, server_default=text("1")),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", NAME, nullable=False),
    PrimaryKeyConstraint("id"),
    CheckConstraint("id = 1", name="id"),
)

sealed_accounts = Table(
    "sealed_accounts",
    metadata,
    # The newest seal of each account.
    Column("account_id", NAME, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", NAME, nullable=False),
    Column("sealed_at", MOMENT, nullable=False),
    PrimaryKeyConstraint("account_id"),
    # Few rows, each changed all the time: room for heap-only updates.
    postgresql_with={"fillfactor": "50", "autovacuum_vacuum_scale_factor": "0.02", "autovacuum_vacuum_cost_delay": "0"},
)

account_seals = Table(
    "account_seals",
    metadata,
    Column("account_id", NAME, nullable=False),
    Column("up_to_sequence", BigInteger, nullable=False),
    Column("hash", NAME, nullable=False),
    Column("sealed_at", MOMENT, nullable=False),
    PrimaryKeyConstraint("account_id", "up_to_sequence"),
    postgresql_with={"autovacuum_vacuum_insert_scale_factor": "0.05"},
)

seal_lease = Table(
    "seal_lease",
    metadata,
    # The only row: the worker that seals, until a moment of the database's clock.
    Column("id", SmallInteger, nullable=False, server_default=text("1")),
    Column("holder", Uuid, nullable=False),
    Column("lease_until", MOMENT, nullable=False),
    PrimaryKeyConstraint("id"),
    CheckConstraint("id = 1", name="id"),
)
