"""Claiming what is due: the right to try to place an order, or to send a cancel request, for the length of a lease."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from db.database import Database, Row
from db.rows import ORDER_COLUMN_NAMES, loaded_order_of, order_of
from domain.ports import Claim, LoadedOrder

# Whoever is named is waited for: a lock lasts as long as one statement, and the row says afterwards whether it is still
# due. Whoever is swept is skipped when another holds it: a sweep that waits would be no help. An order of which the
# venue has shown something is never due (a CHECK of the table).
_NAMED = "o.id = ANY($2::uuid[]) AND {due} <= now() ORDER BY o.id FOR UPDATE"
_OVERDUE = "{due} < now() - $2::interval ORDER BY {due} LIMIT $3::int FOR UPDATE SKIP LOCKED"

# An attempt whose lease ended without an end of its own may have sent the order until that moment.
_PLACE = f"""
WITH due AS MATERIALIZED (
    SELECT o.id FROM orders AS o WHERE {{which}}
)
UPDATE orders AS o SET
    attempt = o.attempt + 1, attempts = o.attempts + 1, last_attempt_at = now(),
    maybe_sent_at = greatest(o.maybe_sent_at, o.lease_until),
    lease_until = now() + $1::interval, place_due_at = now() + $1::interval
FROM due
WHERE o.id = due.id
RETURNING {ORDER_COLUMN_NAMES}
"""  # noqa: S608 - the names of our own columns
_CANCEL = f"""
WITH due AS MATERIALIZED (
    SELECT o.id FROM orders AS o WHERE {{which}}
)
UPDATE orders AS o SET cancel_due_at = now() + $1::interval
FROM due
WHERE o.id = due.id
RETURNING {ORDER_COLUMN_NAMES}
"""  # noqa: S608 - the names of our own columns

CLAIM = _PLACE.format(which=_NAMED.format(due="o.place_due_at"))
CLAIM_DUE = _PLACE.format(which=_OVERDUE.format(due="o.place_due_at"))
CLAIM_CANCELS = _CANCEL.format(which=_NAMED.format(due="o.cancel_due_at"))
CLAIM_DUE_CANCELS = _CANCEL.format(which=_OVERDUE.format(due="o.cancel_due_at"))

OLDEST_DUE = """
SELECT now() - min(o.place_due_at) AS overdue FROM orders AS o WHERE o.place_due_at <= now()
"""
IDS_BY_VENUE_ORDER_ID = """
SELECT o.venue_order_id, o.id FROM orders AS o WHERE o.venue_order_id = ANY($1::text[])
"""
OPEN_AT_VENUE = f"""
SELECT {ORDER_COLUMN_NAMES} FROM orders AS o
WHERE o.is_open_at_venue AND o.updated_at < now() - $1::interval
ORDER BY o.updated_at, o.id
LIMIT $2::int
"""  # noqa: S608 - the names of our own columns


@dataclass(frozen=True, slots=True)
class Claiming:
    """Finds and claims orders that something has to be done about."""

    database: Database

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        """Claim those of the orders that are due to be placed."""
        return [_claim_of(row) for row in await self.database.fetch(CLAIM, lease, list(order_ids))]

    async def claim_due(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[Claim]:
        """Claim whatever has been due for longer than that, the longest first."""
        rows = await self.database.fetch(CLAIM_DUE, lease, overdue_by, limit)
        return [_claim_of(row) for row in rows]

    async def claim_cancels(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[LoadedOrder]:
        """Take those of the orders whose cancel request is due."""
        return [loaded_order_of(row) for row in await self.database.fetch(CLAIM_CANCELS, lease, list(order_ids))]

    async def claim_due_cancels(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[LoadedOrder]:
        """Take whatever cancel request has been due for longer than that, the longest first."""
        rows = await self.database.fetch(CLAIM_DUE_CANCELS, lease, overdue_by, limit)
        return [loaded_order_of(row) for row in rows]

    async def oldest_due(self) -> timedelta | None:
        """How long the most overdue order has been due to be placed."""
        (row,) = await self.database.fetch(OLDEST_DUE)
        overdue: timedelta | None = row["overdue"]
        return overdue

    async def ids_by_venue_order_id(self, venue_order_ids: Collection[str]) -> Mapping[str, UUID]:
        """Our ids by the venue's."""
        rows = await self.database.fetch(IDS_BY_VENUE_ORDER_ID, list(venue_order_ids))
        return {row["venue_order_id"]: row["id"] for row in rows}

    async def open_at_venue(self, *, silent_for: timedelta, limit: int) -> Sequence[LoadedOrder]:
        """Orders that are open at the venue and have not changed for that long, the most silent first."""
        return [loaded_order_of(row) for row in await self.database.fetch(OPEN_AT_VENUE, silent_for, limit)]


def _claim_of(row: Row) -> Claim:
    return Claim(
        order=order_of(row),
        attempt=row["attempt"],
        attempts=row["attempts"],
        maybe_sent_at=row["maybe_sent_at"],
        claimed_at=row["last_attempt_at"],
    )
