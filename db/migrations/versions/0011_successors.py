"""Successors of venue orders: an order that the venue replaced continues as its replacement.

The columns are empty for every existing order and execution, and adding them rewrites no row. Processes of the previous
version write orders and executions without them, and do not change stored values.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

EXECUTIONS = """
ALTER TABLE executions
    ADD COLUMN venue_order_id text COLLATE "C",
    ADD CONSTRAINT executions_venue_order_id_check CHECK (char_length(venue_order_id) BETWEEN 1 AND 128) NOT VALID
"""
# It is true for every existing row. This reads the table without blocking.
VALIDATE = "ALTER TABLE executions VALIDATE CONSTRAINT executions_venue_order_id_check"


def upgrade() -> None:
    """Add the columns, and the index by which a report about a successor finds its order."""
    op.execute("ALTER TABLE orders ADD COLUMN successors jsonb")
    op.execute("CREATE INDEX orders_successors ON orders USING gin (successors) WHERE successors IS NOT NULL")
    for statement in (EXECUTIONS, VALIDATE):
        op.execute(statement)


def downgrade() -> None:
    """Remove them; a replaced order is one that was canceled, and fills of what replaced it still count."""
    op.execute("ALTER TABLE executions DROP COLUMN venue_order_id")
    op.execute("ALTER TABLE orders DROP COLUMN successors")
