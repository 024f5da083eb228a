"""The tables of trading control: limits, halts, last known prices. Operators write them, storing and claiming read
them.

`trading_halts` is also a lock: storing and claiming read it in the statement that writes, so that a halt can wait for
the statements that began before it (see `db.trading_halts`).
"""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Numeric, PrimaryKeyConstraint, Table, Text, Uuid

from db.columns import ID_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS, MOMENT, NAME, at_most, metadata, positive_decimal
from domain.model.limits import ORDERS_PER_SECOND_MAX

EVERYBODY = ""
"""Stands for all accounts, where an account's id may stand: no account has an empty one."""

account_limits = Table(
    "account_limits",
    metadata,
    # Empty: the defaults, for every account without a row.
    Column("account_id", NAME, nullable=False),
    Column("max_quantity", Numeric),
    Column("max_notional", Numeric),
    Column("price_collar_percent", Numeric),
    Column("max_open_orders", Integer),
    Column("max_orders_per_second", Integer),
    Column("set_at", MOMENT, nullable=False),
    Column("set_by", Text, nullable=False),
    PrimaryKeyConstraint("account_id"),
    CheckConstraint(f"char_length(account_id) <= {ID_MAX_CHARACTERS}", name="account_id"),
    positive_decimal("max_quantity"),
    positive_decimal("max_notional"),
    positive_decimal("price_collar_percent"),
    CheckConstraint("max_open_orders > 0", name="max_open_orders"),
    CheckConstraint(f"max_orders_per_second BETWEEN 1 AND {ORDERS_PER_SECOND_MAX}", name="max_orders_per_second"),
    at_most("set_by", ID_MAX_CHARACTERS),
)

trading_halts = Table(
    "trading_halts",
    metadata,
    Column("id", Uuid, nullable=False),
    # Empty: all accounts.
    Column("account_id", NAME, nullable=False),
    Column("halted_at", MOMENT, nullable=False),
    Column("halted_by", Text, nullable=False),
    Column("halt_reason", Text, nullable=False),
    Column("resumed_at", MOMENT),
    Column("resumed_by", Text),
    Column("resume_reason", Text),
    PrimaryKeyConstraint("id"),
    CheckConstraint(f"char_length(account_id) <= {ID_MAX_CHARACTERS}", name="account_id"),
    at_most("halted_by", ID_MAX_CHARACTERS),
    at_most("halt_reason", MESSAGE_MAX_CHARACTERS),
    CheckConstraint("num_nulls(resumed_at, resumed_by, resume_reason) IN (0, 3)", name="resumed"),
    at_most("resumed_by", ID_MAX_CHARACTERS),
    at_most("resume_reason", MESSAGE_MAX_CHARACTERS),
)
Index(
    "trading_halts_open",
    trading_halts.c.account_id,
    unique=True,
    postgresql_where=trading_halts.c.resumed_at.is_(None),
)

instrument_prices = Table(
    "instrument_prices",
    metadata,
    Column("isin", NAME, nullable=False),
    Column("price", Numeric, nullable=False),
    Column("at", MOMENT, nullable=False),
    PrimaryKeyConstraint("isin"),
    CheckConstraint("char_length(isin) = 12", name="isin"),
    positive_decimal("price"),
    # Few rows, each changed all the time: room for heap-only updates.
    postgresql_with={"fillfactor": "50"},
)
