"""Orders that have waited too long to be at the venue, for alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from db.database import Database

# Every such order is in the small partial index of orders to be placed, and is read from it in its order: for a sort by
# age, the planner might scan the whole table from its oldest order on.
WAITING = """
SELECT o.id, o.venue_client_order_id, o.phase > 0 AS is_in_doubt, now() - o.created_at AS age FROM orders AS o
WHERE o.submit_due_at IS NOT NULL
  AND now() - o.created_at > CASE WHEN o.phase > 0 THEN $1::interval ELSE $2::interval END
ORDER BY o.submit_due_at
LIMIT $3::int
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOrder:
    """An order that is not known to be at the venue; `age` since it was stored."""

    id: UUID
    venue_client_order_id: str
    is_in_doubt: bool
    age: timedelta


@dataclass(frozen=True, slots=True)
class PostgresWaitingOrders:
    """The query of waiting orders."""

    database: Database

    async def waiting(self, *, in_doubt_for: timedelta, pending_for: timedelta, limit: int) -> Sequence[WaitingOrder]:
        """Return orders in doubt, or not sent yet, that were stored longer ago than this. Raises UnavailableError."""
        rows = await self.database.fetch(WAITING, in_doubt_for, pending_for, limit)
        return [
            WaitingOrder(
                id=row["id"],
                venue_client_order_id=row["venue_client_order_id"],
                is_in_doubt=row["is_in_doubt"],
                age=row["age"],
            )
            for row in rows
        ]
