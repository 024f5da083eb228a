"""The tables about venues: instruments, positions of streams, circuit breakers, request budgets, dead letters,
and the identity of this installation there."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.columns import (
    CODE_MAX_CHARACTERS,
    ID_MAX_CHARACTERS,
    MESSAGE_MAX_CHARACTERS,
    MOMENT,
    NAME,
    RAW_MAX_BYTES,
    at_most,
    metadata,
    positive_decimal,
)

instruments = Table(
    "instruments",
    metadata,
    Column("isin", NAME, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("tick_size", Numeric, nullable=False),
    Column("lot_size", Numeric, nullable=False),
    Column("tradable", Boolean, nullable=False),
    PrimaryKeyConstraint("isin"),
    CheckConstraint("char_length(isin) = 12", name="isin"),
    at_most("symbol", CODE_MAX_CHARACTERS),
    at_most("name", MESSAGE_MAX_CHARACTERS),
    at_most("currency", CODE_MAX_CHARACTERS),
    positive_decimal("tick_size"),
    positive_decimal("lot_size"),
)

stream_positions = Table(
    "stream_positions",
    metadata,
    Column("venue", NAME, nullable=False),
    # Up to here everything was recorded; null before the first catch-up.
    Column("moment", MOMENT),
    # The fence of the leading process: it increases with every new leader. There is no leader when the lease has ended
    # or is null.
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    Column("leader_id", Uuid),
    Column("lease_until", MOMENT),
    # Up to here the orders that are over were compared; null before the first comparison.
    Column("closed_orders_moment", MOMENT),
    PrimaryKeyConstraint("venue"),
    at_most("venue", ID_MAX_CHARACTERS),
)

venue_gates = Table(
    "venue_gates",
    metadata,
    Column("venue", NAME, nullable=False),
    # Failures in a row, over all workers. The circuit is open while `probe_at` is set: from then on one order is tried.
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("probe_at", MOMENT),
    # The end of a pause requested by the venue.
    Column("paused_until", MOMENT),
    Column("reason", Text),
    PrimaryKeyConstraint("venue"),
    at_most("venue", ID_MAX_CHARACTERS),
    CheckConstraint(f"char_length(reason) <= {MESSAGE_MAX_CHARACTERS}", name="reason"),
    # One row that changes often: room for heap-only updates.
    postgresql_with={"fillfactor": "50"},
)

rate_budgets = Table(
    "rate_budgets",
    metadata,
    # The venue and a digest of the key, which is what the venue counts by.
    Column("key", NAME, nullable=False),
    # Rises with every write: the compare and swap of `db.rate_budget_store`.
    Column("version", BigInteger, nullable=False),
    # NULL when the venue announces no limit.
    Column("state", JSONB),
    Column("updated_at", MOMENT, nullable=False),
    PrimaryKeyConstraint("key"),
    at_most("key", ID_MAX_CHARACTERS),
    # One row that changes often: room for heap-only updates.
    postgresql_with={"fillfactor": "50"},
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("digest", LargeBinary, nullable=False),
    Column("source", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("count", BigInteger, nullable=False, server_default=text("1")),
    Column("first_at", MOMENT, nullable=False),
    Column("last_at", MOMENT, nullable=False),
    PrimaryKeyConstraint("digest"),
    CheckConstraint("octet_length(digest) = 32", name="digest"),
    at_most("source", CODE_MAX_CHARACTERS),
    CheckConstraint(f"char_length(error) <= {MESSAGE_MAX_CHARACTERS}", name="error"),
    CheckConstraint(f"octet_length(raw) <= {RAW_MAX_BYTES}", name="raw"),
)

installation = Table(
    "installation",
    metadata,
    # One row: the table is read by every process when it starts.
    Column("id", SmallInteger, nullable=False, server_default=text("1")),
    # New orders have it in their venue client order id; those of former prefixes are still ours.
    Column("prefix", NAME, nullable=False),
    Column("former_prefixes", ARRAY(NAME), nullable=False, server_default="{}"),
    PrimaryKeyConstraint("id"),
    CheckConstraint("id = 1", name="id"),
    CheckConstraint("prefix ~ '^[a-z][a-z0-9]{1,14}$'", name="prefix"),
)
