"""Store refusals that were read from an answer as a phase of the submission, not an end of the order.

They were stored as the end REJECTED, which no report of the venue reverts. Their reason's code distinguishes them from
ends: it has the venue's number, or REFUSED. Statuses, versions and histories are unchanged. Processes of the previous
version do not support the phase: see docs/operations.md. No constraint changes: `orders_place_due_at_check` covers
every phase from 2 on.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ENDS_TO_REFUSALS = """
UPDATE orders SET
    phase = 3, ends = '{}', end_reasons = '{}',
    phase_reasons = phase_reasons || jsonb_build_object('REFUSED', end_reasons -> 'REJECTED')
WHERE status = 'REJECTED' AND ends = '{REJECTED}' AND rank = 0 AND filled_quantity = 0 AND venue_order_id IS NULL
    AND end_reasons #>> '{REJECTED,code}' ~ '^VENUE_([0-9]+|REFUSED)$'
"""
REFUSALS_TO_ENDS = """
UPDATE orders SET
    phase = CASE WHEN phase_reasons ? 'GIVEN_UP' THEN 2 WHEN phase_reasons ? 'SENT_UNKNOWN' THEN 1 ELSE 0 END,
    ends = CASE WHEN status = 'REJECTED' AND ends = '{}' THEN '{REJECTED}' ELSE ends END,
    end_reasons = CASE
        WHEN status = 'REJECTED' AND ends = '{}' THEN jsonb_build_object('REJECTED', phase_reasons -> 'REFUSED')
        ELSE end_reasons
    END,
    phase_reasons = phase_reasons - 'REFUSED'
WHERE phase_reasons ? 'REFUSED'
"""


def upgrade() -> None:
    """Move refusals from the ends to the phase."""
    op.execute(ENDS_TO_REFUSALS)


def downgrade() -> None:
    """Move them back; a refusal of an order in doubt is lost."""
    op.execute(REFUSALS_TO_ENDS)
