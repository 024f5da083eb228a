"""The venue client order id of each order, and the installation's prefix, by which its orders are recognized.

Existing orders keep their id as their name at the venue. New ones get `<prefix>-<base32 of a hash>` from the process
that stores them.

A process of the previous version would submit such an order under the order's id, and a later look-up by the derived
name would not find it: the order would be placed twice. So its statements must fail on these tables. This renames
`orders.place_due_at` to `submit_due_at`, which every statement of that version contains that stores an order, claims
one, records a report or reads an order. Concurrently with this version, an old API answers placements with an internal
error, an old worker claims nothing, and an old ingest stores unrecorded reports in `dead_letters`, which need no
recovery: its position stays, so that the new ingest reads those fills again. An order that an old worker had claimed
before is sent under the order's id, as in the row.

`orders` is locked while its rows are rewritten: other statements wait at most a second for the lock, and the rest takes
about 10 seconds for a million orders (see docs/operations.md).
"""

import secrets

from alembic import context, op
from sqlalchemy import bindparam, text
from sqlalchemy.exc import DBAPIError

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LOCK_ATTEMPTS_MAX = 60
LOCK_NOT_AVAILABLE = "55P03"
LOCK_ORDERS = "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"
PREFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
PREFIX_RANDOM_CHARACTERS = 10
"""50 bits: two installations that share an account at a venue do not get the same prefix."""
INSTALLATION = """
CREATE TABLE installation (
    id smallint NOT NULL DEFAULT 1,
    prefix text COLLATE "C" NOT NULL,
    former_prefixes text[] COLLATE "C" NOT NULL DEFAULT '{}',
    CONSTRAINT installation_pk PRIMARY KEY (id),
    CONSTRAINT installation_id_check CHECK (id = 1),
    CONSTRAINT installation_prefix_check CHECK (prefix ~ '^[a-z][a-z0-9]{1,14}$')
)
"""
# Changing the type rewrites the table, without the dead rows that an UPDATE of all rows would leave.
ORDERS = (
    "ALTER TABLE orders RENAME COLUMN place_due_at TO submit_due_at",
    "ALTER TABLE orders RENAME CONSTRAINT orders_place_due_at_check TO orders_submit_due_at_check",
    "ALTER INDEX orders_place_due RENAME TO orders_submit_due",
    'ALTER TABLE orders ADD COLUMN venue_client_order_id text COLLATE "C"',
    'ALTER TABLE orders ALTER COLUMN venue_client_order_id TYPE text COLLATE "C" USING id::text',
    """
    ALTER TABLE orders
        ALTER COLUMN venue_client_order_id SET NOT NULL,
        ADD CONSTRAINT orders_venue_client_order_id_check CHECK (char_length(venue_client_order_id) BETWEEN 1 AND 48),
        ADD CONSTRAINT orders_venue_client_order_id_key UNIQUE (venue_client_order_id)
    """,
)
NAMED_OTHERWISE = "SELECT EXISTS (SELECT FROM orders AS o WHERE o.venue_client_order_id <> o.id::text)"


def upgrade() -> None:
    """Store a prefix, and name every order by its id."""
    op.execute(INSTALLATION)
    insert = text("INSERT INTO installation (prefix) VALUES (:prefix)").bindparams(bindparam("prefix", _prefix()))
    op.execute(insert)
    # Last, so that it is held for the shortest time.
    _lock_orders()
    for statement in ORDERS:
        op.execute(statement)


def _prefix() -> str:
    """Return the prefix of the settings, or a new one."""
    configured: str | None = context.config.attributes.get("installation_prefix")
    return configured or "fw" + "".join(secrets.choice(PREFIX_ALPHABET) for _ in range(PREFIX_RANDOM_CHARACTERS))


def _lock_orders() -> None:
    """Lock the orders. Other statements queue after a waiting lock: so it waits for a second, lets them pass, and
    retries.
    """
    op.execute("SET LOCAL lock_timeout = '1s'")
    for _ in range(LOCK_ATTEMPTS_MAX - 1):
        try:
            with op.get_bind().begin_nested():
                op.execute(LOCK_ORDERS)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            op.execute("SELECT pg_sleep(1)")
        else:
            return
    op.execute(LOCK_ORDERS)


def downgrade() -> None:
    """Return to the ids as names. Raise RuntimeError when an order has another name at the venue."""
    if op.get_bind().scalar(text(NAMED_OTHERWISE)):
        raise RuntimeError("orders were stored under derived names: the version before would place them twice")
    op.execute("ALTER TABLE orders DROP COLUMN venue_client_order_id")
    op.execute("ALTER INDEX orders_submit_due RENAME TO orders_place_due")
    op.execute("ALTER TABLE orders RENAME CONSTRAINT orders_submit_due_at_check TO orders_place_due_at_check")
    op.execute("ALTER TABLE orders RENAME COLUMN submit_due_at TO place_due_at")
    op.execute("DROP TABLE installation")
