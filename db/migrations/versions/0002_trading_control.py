"""Limits, halts, last known prices; and each account's load. Their reasons are in `db/trading_tables.py`.

Processes of the previous version may run meanwhile: `accounts` is locked for as long as it takes to count the orders
that are not final, by the two small indexes of them; and other statements wait at most a second for that lock. But the
old processes count no open orders and check no halt: see docs/operations.md.
"""

from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LOCK_ATTEMPTS_MAX = 60
LOCK_NOT_AVAILABLE = "55P03"
LOCK_ACCOUNTS = "LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE"
ACCOUNT_COLUMNS = """
ALTER TABLE accounts
    ADD COLUMN open_orders integer NOT NULL DEFAULT 0,
    ADD COLUMN accepted_at timestamptz[] NOT NULL DEFAULT '{}'
"""
COUNT_OPEN_ORDERS = """
UPDATE accounts AS a SET open_orders = o.count
FROM (
    SELECT u.account_id, count(*) AS count FROM (
        SELECT account_id, status FROM orders WHERE place_due_at IS NOT NULL
        UNION ALL
        SELECT account_id, status FROM orders WHERE is_open_at_venue AND place_due_at IS NULL
    ) AS u
    WHERE u.status NOT IN ('CANCELED', 'EXPIRED', 'FAILED', 'FILLED', 'REJECTED')
    GROUP BY u.account_id
) AS o
WHERE a.id = o.account_id
"""
ACCOUNT_LIMITS = """
CREATE TABLE account_limits (
    account_id text COLLATE "C" NOT NULL,
    max_quantity numeric,
    max_notional numeric,
    price_collar_percent numeric,
    max_open_orders integer,
    max_orders_per_second integer,
    set_at timestamptz NOT NULL,
    set_by text NOT NULL,
    CONSTRAINT account_limits_pk PRIMARY KEY (account_id),
    CONSTRAINT account_limits_account_id_check CHECK (char_length(account_id) <= 128),
    CONSTRAINT account_limits_max_quantity_check
        CHECK (scale(max_quantity) <= 18 AND max_quantity < 1e18 AND max_quantity > 0),
    CONSTRAINT account_limits_max_notional_check
        CHECK (scale(max_notional) <= 18 AND max_notional < 1e18 AND max_notional > 0),
    CONSTRAINT account_limits_price_collar_percent_check
        CHECK (scale(price_collar_percent) <= 18 AND price_collar_percent < 1e18 AND price_collar_percent > 0),
    CONSTRAINT account_limits_max_open_orders_check CHECK (max_open_orders > 0),
    CONSTRAINT account_limits_max_orders_per_second_check CHECK (max_orders_per_second BETWEEN 1 AND 1000),
    CONSTRAINT account_limits_set_by_check CHECK (char_length(set_by) BETWEEN 1 AND 128)
)
"""
TRADING_HALTS = """
CREATE TABLE trading_halts (
    id uuid NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    halted_at timestamptz NOT NULL,
    halted_by text NOT NULL,
    halt_reason text NOT NULL,
    resumed_at timestamptz,
    resumed_by text,
    resume_reason text,
    CONSTRAINT trading_halts_pk PRIMARY KEY (id),
    CONSTRAINT trading_halts_account_id_check CHECK (char_length(account_id) <= 128),
    CONSTRAINT trading_halts_halted_by_check CHECK (char_length(halted_by) BETWEEN 1 AND 128),
    CONSTRAINT trading_halts_halt_reason_check CHECK (char_length(halt_reason) BETWEEN 1 AND 2000),
    CONSTRAINT trading_halts_resumed_check CHECK (num_nulls(resumed_at, resumed_by, resume_reason) IN (0, 3)),
    CONSTRAINT trading_halts_resumed_by_check CHECK (char_length(resumed_by) BETWEEN 1 AND 128),
    CONSTRAINT trading_halts_resume_reason_check CHECK (char_length(resume_reason) BETWEEN 1 AND 2000)
)
"""
OPEN_HALTS = "CREATE UNIQUE INDEX trading_halts_open ON trading_halts (account_id) WHERE resumed_at IS NULL"
INSTRUMENT_PRICES = """
CREATE TABLE instrument_prices (
    isin text COLLATE "C" NOT NULL,
    price numeric NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT instrument_prices_pk PRIMARY KEY (isin),
    CONSTRAINT instrument_prices_isin_check CHECK (char_length(isin) = 12),
    CONSTRAINT instrument_prices_price_check CHECK (scale(price) <= 18 AND price < 1e18 AND price > 0)
) WITH (fillfactor = 50)
"""


def upgrade() -> None:
    """Add the columns and tables, and count the open orders that there are."""
    for statement in (ACCOUNT_LIMITS, TRADING_HALTS, OPEN_HALTS, INSTRUMENT_PRICES):
        op.execute(statement)
    # Last, so that it is held for the shortest time.
    _lock_accounts()
    for statement in (ACCOUNT_COLUMNS, COUNT_OPEN_ORDERS):
        op.execute(statement)


def _lock_accounts() -> None:
    """Lock the accounts. Other statements queue after a waiting lock: so it waits for a second, lets them pass, and
    retries.
    """
    op.execute("SET LOCAL lock_timeout = '1s'")
    for _ in range(LOCK_ATTEMPTS_MAX - 1):
        try:
            with op.get_bind().begin_nested():
                op.execute(LOCK_ACCOUNTS)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            op.execute("SELECT pg_sleep(1)")
        else:
            return
    op.execute(LOCK_ACCOUNTS)


def downgrade() -> None:
    """Back to 0001: limits, halts and their trail are lost."""
    for table in ("instrument_prices", "trading_halts", "account_limits"):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE accounts DROP COLUMN open_orders, DROP COLUMN accepted_at")
