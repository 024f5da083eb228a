"""Up to when the orders that are over were compared, so that a new leader begins where the last one ended.

The column is empty, and adding it rewrites no row. Processes of the version before leave it so; then the comparison
begins before the position of the fills, as it did.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE stream_positions ADD COLUMN closed_orders_moment timestamptz")


def downgrade() -> None:
    """Remove it; the comparison begins before the position of the fills again."""
    op.execute("ALTER TABLE stream_positions DROP COLUMN closed_orders_moment")
