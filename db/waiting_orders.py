"""Orders that have waited too long to be at the venue, for alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from db.database import Database

# Every such order is in the small partial index of orders to be placed, and is read from it in its order: for a sort by
# age, the planner might scan the whole table from its oldest order on.
WAITING = """
SELECT o.id, o.venue_client_order_id, o.phase > 0 AS is_in_doubt, now() - o.created_at AS age, o.submit_due_at
FROM orders AS o
WHERE o.submit_due_at IS NOT NULL AND (o.submit_due_at, o.id) > ($4::timestamptz, $5::uuid)
  AND now() - o.created_at > CASE WHEN o.phase > 0 THEN $1::interval ELSE $2::interval END
ORDER BY o.submit_due_at, o.id
LIMIT $3::int
"""

Place = tuple[datetime, UUID]
"""The place of a waiting order among all: when it is due, and its id."""
FIRST: Place = (datetime.min.replace(tzinfo=UTC), UUID(int=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOrder:
    """An order that is not known to be at the venue; `age` since it was stored, `due_at` when it is submitted."""

    id: UUID
    venue_client_order_id: str
    is_in_doubt: bool
    age: timedelta
    due_at: datetime

    @property
    def place(self) -> Place:
        """Its place among all waiting orders."""
        return self.due_at, self.id


@dataclass(frozen=True, slots=True)
class PostgresWaitingOrders:
    """The query of waiting orders."""

    database: Database

    async def waiting(
        self, *, in_doubt_for: timedelta, pending_for: timedelta, limit: int, after: Place = FIRST
    ) -> Sequence[WaitingOrder]:
        """Return orders in doubt, or not sent yet, that were stored longer ago than this, those behind a place.

        Raises UnavailableError.
        """
        rows = await self.database.fetch(WAITING, in_doubt_for, pending_for, limit, *after)
        return [
            WaitingOrder(
                id=row["id"],
                venue_client_order_id=row["venue_client_order_id"],
                is_in_doubt=row["is_in_doubt"],
                age=row["age"],
                due_at=row["submit_due_at"],
            )
            for row in rows
        ]
