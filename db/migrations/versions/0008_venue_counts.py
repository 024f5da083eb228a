"""Several ids of one execution, the times of its amendments, and the venue's count of what was filled.

`executions.amends` and `executions.repeats` mark an id that does not count since another one does; `amended_at` are the
times of busts and corrections, which distinguish a later fill from a second id of an earlier one.
`orders.venue_counted` is the venue's filled quantity at `venue_counted_at`: the check on the executions.

All columns are new and may be NULL, so that processes of the previous version can run concurrently. Earlier amendments
have the time of its correction, or of its arrival.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE executions
        ADD COLUMN amends text COLLATE "C",
        ADD COLUMN repeats text COLLATE "C",
        ADD COLUMN amended_at timestamptz[],
        ADD CONSTRAINT executions_amends_check CHECK (char_length(amends) BETWEEN 1 AND 128),
        ADD CONSTRAINT executions_repeats_check CHECK (char_length(repeats) BETWEEN 1 AND 128),
        ADD CONSTRAINT executions_counted_check CHECK (num_nonnulls(amends, repeats) < 2)
    """,
    """
    ALTER TABLE orders
        ADD COLUMN venue_counted numeric,
        ADD COLUMN venue_counted_at timestamptz,
        ADD CONSTRAINT orders_venue_counted_check
            CHECK (scale(venue_counted) <= 18 AND venue_counted < 1e18 AND venue_counted > -1e18),
        ADD CONSTRAINT orders_venue_count_check CHECK (num_nulls(venue_counted, venue_counted_at) IN (0, 2))
    """,
    """
    UPDATE executions SET amended_at = ARRAY[coalesce(corrected_at, received_at)]
    WHERE corrected_at IS NOT NULL OR is_busted
    """,
    """
    CREATE INDEX executions_order_amended ON executions (order_id)
        WHERE amends IS NOT NULL OR repeats IS NOT NULL OR amended_at IS NOT NULL
    """,
)


def upgrade() -> None:
    """Add the columns, and the index of the few executions that they concern."""
    for statement in STATEMENTS:
        op.execute(statement)
