"""Budgets of requests, one for each venue key. Their reason is in `domain/model/rate_budget.py`.

Processes of the previous version may run meanwhile; they make their requests without reading it.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

RATE_BUDGETS = """
CREATE TABLE rate_budgets (
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    state jsonb,
    updated_at timestamptz NOT NULL,
    CONSTRAINT rate_budgets_pk PRIMARY KEY (key),
    CONSTRAINT rate_budgets_key_check CHECK (char_length(key) BETWEEN 1 AND 128)
) WITH (fillfactor = 50)
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(RATE_BUDGETS)


def downgrade() -> None:
    """Back to 0002: the processes of that version know no shared budget."""
    op.execute("DROP TABLE rate_budgets")
