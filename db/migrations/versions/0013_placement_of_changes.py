"""How placing stood at a change of an order that the venue did not have yet, so that a replay shows it.

The column is empty for every change that there is, and adding it rewrites no row. Processes of the version before write
changes without it.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE order_changes ADD COLUMN placement jsonb")


def downgrade() -> None:
    """Remove it; such a change is replayed with today's placement."""
    op.execute("ALTER TABLE order_changes DROP COLUMN placement")
