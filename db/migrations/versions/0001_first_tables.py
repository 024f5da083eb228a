"""The first tables. Their reasons are in `db/tables.py`; a test compares the two."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ORDERS = """
CREATE TABLE orders (
    id uuid NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    client_order_id text COLLATE "C" NOT NULL,
    isin text COLLATE "C" NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    type text NOT NULL,
    time_in_force text NOT NULL,
    quantity numeric NOT NULL,
    limit_price numeric,
    phase smallint NOT NULL DEFAULT 0,
    rank smallint NOT NULL DEFAULT 0,
    venue_order_id text COLLATE "C",
    filled_quantity numeric NOT NULL DEFAULT 0,
    notional numeric NOT NULL DEFAULT 0,
    ends text[] NOT NULL DEFAULT '{}',
    cancel_asked integer NOT NULL DEFAULT 0,
    cancel_sent integer NOT NULL DEFAULT 0,
    cancel_refused integer NOT NULL DEFAULT 0,
    cancel_refused_at timestamptz,
    end_reasons jsonb NOT NULL DEFAULT '{}',
    phase_reasons jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    place_due_at timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    last_attempt_at timestamptz,
    maybe_sent_at timestamptz,
    lease_until timestamptz,
    last_error text,
    cancel_due_at timestamptz,
    is_open_at_venue boolean NOT NULL DEFAULT false,
    CONSTRAINT orders_pk PRIMARY KEY (id),
    CONSTRAINT orders_account_id_client_order_id_key UNIQUE (account_id, client_order_id),
    CONSTRAINT orders_account_id_check CHECK (char_length(account_id) BETWEEN 1 AND 128),
    CONSTRAINT orders_client_order_id_check CHECK (char_length(client_order_id) BETWEEN 1 AND 48),
    CONSTRAINT orders_isin_check CHECK (char_length(isin) = 12),
    CONSTRAINT orders_symbol_check CHECK (char_length(symbol) BETWEEN 1 AND 128),
    CONSTRAINT orders_side_check CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT orders_type_check CHECK (type IN ('MARKET', 'LIMIT')),
    CONSTRAINT orders_time_in_force_check CHECK (time_in_force IN ('DAY', 'GTC', 'IOC', 'FOK')),
    CONSTRAINT orders_quantity_check CHECK (scale(quantity) <= 18 AND quantity < 1e18 AND quantity > 0),
    CONSTRAINT orders_limit_price_check
        CHECK (scale(limit_price) <= 18 AND limit_price < 1e18 AND limit_price > -1e18),
    CONSTRAINT orders_limit_price_given_check CHECK ((type = 'LIMIT') = (limit_price IS NOT NULL)),
    CONSTRAINT orders_venue_order_id_check CHECK (char_length(venue_order_id) BETWEEN 1 AND 128),
    CONSTRAINT orders_status_check CHECK (char_length(status) BETWEEN 1 AND 128),
    CONSTRAINT orders_last_error_check CHECK (char_length(last_error) <= 2000),
    CONSTRAINT orders_place_due_at_check CHECK (
        place_due_at IS NULL OR (rank = 0 AND phase < 2 AND filled_quantity <= 0 AND cardinality(ends) = 0)
    ),
    CONSTRAINT orders_cancel_due_at_check CHECK (cancel_due_at IS NULL OR cancel_asked > cancel_refused)
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
)
"""
ORDER_INDEXES = (
    "CREATE INDEX orders_account_created ON orders (account_id, created_at, id)",
    "CREATE INDEX orders_created ON orders (created_at, id)",
    "CREATE INDEX orders_venue_order_id ON orders (venue_order_id) WHERE venue_order_id IS NOT NULL",
    "CREATE INDEX orders_place_due ON orders (place_due_at) WHERE place_due_at IS NOT NULL",
    "CREATE INDEX orders_cancel_due ON orders (cancel_due_at) WHERE cancel_due_at IS NOT NULL",
    "CREATE INDEX orders_open_at_venue ON orders (id) WHERE is_open_at_venue",
)
EXECUTIONS = """
CREATE TABLE executions (
    id uuid NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    order_id uuid NOT NULL,
    venue text COLLATE "C" NOT NULL,
    venue_execution_id text COLLATE "C" NOT NULL,
    cumulative_quantity numeric,
    fill_quantity numeric,
    fill_price numeric,
    correction_quantity numeric,
    correction_price numeric,
    corrected_at timestamptz,
    is_busted boolean NOT NULL DEFAULT false,
    executed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT executions_pk PRIMARY KEY (id),
    CONSTRAINT executions_venue_venue_execution_id_key UNIQUE (venue, venue_execution_id),
    CONSTRAINT executions_account_id_check CHECK (char_length(account_id) BETWEEN 1 AND 128),
    CONSTRAINT executions_venue_check CHECK (char_length(venue) BETWEEN 1 AND 128),
    CONSTRAINT executions_venue_execution_id_check CHECK (char_length(venue_execution_id) BETWEEN 1 AND 128),
    CONSTRAINT executions_cumulative_quantity_check
        CHECK (scale(cumulative_quantity) <= 18 AND cumulative_quantity < 1e18 AND cumulative_quantity > -1e18),
    CONSTRAINT executions_fill_quantity_check
        CHECK (scale(fill_quantity) <= 18 AND fill_quantity < 1e18 AND fill_quantity > -1e18),
    CONSTRAINT executions_fill_price_check
        CHECK (scale(fill_price) <= 18 AND fill_price < 1e18 AND fill_price > -1e18),
    CONSTRAINT executions_correction_quantity_check
        CHECK (scale(correction_quantity) <= 18 AND correction_quantity < 1e18 AND correction_quantity > -1e18),
    CONSTRAINT executions_correction_price_check
        CHECK (scale(correction_price) <= 18 AND correction_price < 1e18 AND correction_price > -1e18),
    CONSTRAINT executions_fill_check CHECK (num_nulls(fill_quantity, fill_price) IN (0, 2)),
    CONSTRAINT executions_correction_check
        CHECK (num_nulls(correction_quantity, correction_price, corrected_at) IN (0, 3))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05)
"""
EXECUTION_INDEX = "CREATE INDEX executions_order_cumulative ON executions (order_id, cumulative_quantity)"
ORDER_CHANGES = """
CREATE TABLE order_changes (
    account_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    order_id uuid NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    status text NOT NULL,
    filled_quantity numeric NOT NULL,
    notional numeric NOT NULL,
    reason_source text,
    reason_code text,
    reason_message text,
    venue_order_id text COLLATE "C",
    execution_id uuid,
    execution_quantity numeric,
    execution_price numeric,
    executed_at timestamptz,
    received_at timestamptz,
    CONSTRAINT order_changes_pk PRIMARY KEY (account_id, sequence),
    CONSTRAINT order_changes_order_id_version_key UNIQUE (order_id, version),
    CONSTRAINT order_changes_kind_check CHECK (char_length(kind) BETWEEN 1 AND 128),
    CONSTRAINT order_changes_status_check CHECK (char_length(status) BETWEEN 1 AND 128),
    CONSTRAINT order_changes_reason_code_check CHECK (char_length(reason_code) BETWEEN 1 AND 128),
    CONSTRAINT order_changes_reason_message_check CHECK (char_length(reason_message) <= 2000)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05)
"""
ACCOUNTS = """
CREATE TABLE accounts (
    id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    CONSTRAINT accounts_pk PRIMARY KEY (id),
    CONSTRAINT accounts_id_check CHECK (char_length(id) BETWEEN 1 AND 128)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)
"""
INSTRUMENTS = """
CREATE TABLE instruments (
    isin text COLLATE "C" NOT NULL,
    symbol text NOT NULL,
    name text NOT NULL,
    currency text NOT NULL,
    tick_size numeric NOT NULL,
    lot_size numeric NOT NULL,
    tradable boolean NOT NULL,
    CONSTRAINT instruments_pk PRIMARY KEY (isin),
    CONSTRAINT instruments_isin_check CHECK (char_length(isin) = 12),
    CONSTRAINT instruments_symbol_check CHECK (char_length(symbol) BETWEEN 1 AND 128),
    CONSTRAINT instruments_name_check CHECK (char_length(name) BETWEEN 1 AND 2000),
    CONSTRAINT instruments_currency_check CHECK (char_length(currency) BETWEEN 1 AND 128),
    CONSTRAINT instruments_tick_size_check CHECK (scale(tick_size) <= 18 AND tick_size < 1e18 AND tick_size > 0),
    CONSTRAINT instruments_lot_size_check CHECK (scale(lot_size) <= 18 AND lot_size < 1e18 AND lot_size > 0)
)
"""
STREAM_POSITIONS = """
CREATE TABLE stream_positions (
    venue text COLLATE "C" NOT NULL,
    moment timestamptz,
    epoch bigint NOT NULL DEFAULT 0,
    leader_id uuid,
    lease_until timestamptz,
    CONSTRAINT stream_positions_pk PRIMARY KEY (venue),
    CONSTRAINT stream_positions_venue_check CHECK (char_length(venue) BETWEEN 1 AND 128)
)
"""
VENUE_GATES = """
CREATE TABLE venue_gates (
    venue text COLLATE "C" NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    probe_at timestamptz,
    paused_until timestamptz,
    reason text,
    CONSTRAINT venue_gates_pk PRIMARY KEY (venue),
    CONSTRAINT venue_gates_venue_check CHECK (char_length(venue) BETWEEN 1 AND 128),
    CONSTRAINT venue_gates_reason_check CHECK (char_length(reason) <= 2000)
) WITH (fillfactor = 50)
"""
DEAD_LETTERS = """
CREATE TABLE dead_letters (
    digest bytea NOT NULL,
    source text NOT NULL,
    error text NOT NULL,
    raw bytea NOT NULL,
    count bigint NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT dead_letters_pk PRIMARY KEY (digest),
    CONSTRAINT dead_letters_digest_check CHECK (octet_length(digest) = 32),
    CONSTRAINT dead_letters_source_check CHECK (char_length(source) BETWEEN 1 AND 128),
    CONSTRAINT dead_letters_error_check CHECK (char_length(error) <= 2000),
    CONSTRAINT dead_letters_raw_check CHECK (octet_length(raw) <= 1048576)
)
"""


def upgrade() -> None:
    """Make all tables."""
    for statement in (ORDERS, *ORDER_INDEXES, EXECUTIONS, EXECUTION_INDEX, ORDER_CHANGES, ACCOUNTS):
        op.execute(statement)
    for statement in (INSTRUMENTS, STREAM_POSITIONS, VENUE_GATES, DEAD_LETTERS):
        op.execute(statement)


def downgrade() -> None:
    """Raise: there is no earlier revision; delete the database instead."""
