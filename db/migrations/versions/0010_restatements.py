"""Restatements of orders: the terms as the venue has changed them, by a split, a new symbol or its staff.

The columns are empty for every order that there is, and adding them rewrites no row. Processes of the version before
write orders and changes without them, and keep what is stored.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute("ALTER TABLE orders ADD COLUMN restatement jsonb")
    op.execute("ALTER TABLE order_changes ADD COLUMN restatement jsonb")


def downgrade() -> None:
    """Remove them; restated orders have their original terms again."""
    op.execute("ALTER TABLE order_changes DROP COLUMN restatement")
    op.execute("ALTER TABLE orders DROP COLUMN restatement")
