"""Repair of due times too far in the future: the database's clock was set back after they were written.

Waiting for such a time would take as long as the clock was set back. A time that was written now is at most one lease
or pause ahead, so one that is further ahead, or was written later than now, is invalid.
"""

from dataclasses import dataclass
from datetime import timedelta

from db.database import Database
from domain.ports.due_times import DueBounds, DueTimes

REPAIRED_ORDERS_MAX = 1_000
"""How many orders one statement repairs."""

# `last_attempt_at` is the time of the newest claim. An order that was never claimed has been due since it was stored.
# An attempt may be running: by its own clock it sends within a lease from now, and never after that.
SUBMISSIONS = f"""
WITH ahead AS MATERIALIZED (
    SELECT o.id FROM orders AS o
    WHERE o.submit_due_at > now()
        AND (o.last_attempt_at IS NULL OR (o.last_attempt_at > now() AND o.submit_due_at > now() + $1::interval))
    ORDER BY o.submit_due_at LIMIT {REPAIRED_ORDERS_MAX} FOR UPDATE SKIP LOCKED
)
UPDATE orders AS o SET
    submit_due_at = CASE WHEN o.last_attempt_at IS NULL THEN now() ELSE now() + $1::interval END,
    lease_until = CASE WHEN o.lease_until IS NOT NULL THEN now() + $1::interval END
FROM ahead AS a WHERE o.id = a.id
RETURNING o.id
"""  # noqa: S608 - no input
# A cancel request may be sent twice.
CANCELS = f"""
WITH ahead AS MATERIALIZED (
    SELECT o.id FROM orders AS o WHERE o.cancel_due_at > now() + $1::interval
    ORDER BY o.cancel_due_at LIMIT {REPAIRED_ORDERS_MAX} FOR UPDATE SKIP LOCKED
)
UPDATE orders AS o SET cancel_due_at = now() FROM ahead AS a WHERE o.id = a.id
RETURNING o.id
"""  # noqa: S608 - no input
PROBE = """
UPDATE venue_gates AS g SET probe_at = now() WHERE g.venue = $1 AND g.probe_at > now() + $2::interval
RETURNING g.venue
"""


@dataclass(frozen=True, slots=True)
class PostgresDueTimes(DueTimes):
    """Due times in PostgreSQL. `venue` is the one whose circuit breaker is repaired."""

    database: Database
    venue: str

    async def repair(self, bounds: DueBounds) -> int:
        return (
            await self._count(SUBMISSIONS, bounds.lease)
            + await self._count(CANCELS, bounds.cancel)
            + await self._count(PROBE, self.venue, bounds.probe)
        )

    async def _count(self, statement: str, *arguments: str | timedelta) -> int:
        return len(await self.database.fetch(statement, *arguments))
