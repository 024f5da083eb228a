"""Claims of due orders: the right to submit an order, or to send its cancel request, for the length of a lease."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from db.breaker_store import PAUSED_UNTIL
from db.database import Database, Row
from db.order_rows import ORDER_COLUMN_NAMES, loaded_order_of
from domain.ports.order_store import Claim, LoadedOrder
from domain.ports.telemetry import Telemetry

Read = TypeVar("Read")

# A named order is waited for: a lock lasts as long as one statement, and afterwards the row shows whether it is still
# due. A sweep skips locked orders, since waiting for them has no benefit. An order that the venue has reported is never
# due (a CHECK of the table).
_NAMED = "o.id = ANY($3::uuid[]) AND {due} <= now() ORDER BY o.id LIMIT {most} FOR UPDATE"
_OVERDUE = "{due} < now() - $3::interval ORDER BY {due} LIMIT least($4::int, {most}) FOR UPDATE SKIP LOCKED"

# While trading is halted for its account (or for all: the empty one) an order is claimed only if an attempt may have
# sent it, and the claim is marked: it is looked up, never sent. A halt waits for the claims that began before it: for
# the table lock of FOR KEY SHARE. (A CASE, because the planner does not estimate it: if it estimated a frequent account
# as halted, it would expect hardly any due order, and read and sort them all instead of the first few of the index.)
_MAYBE_SENT = "o.maybe_sent_at IS NOT NULL OR o.lease_until IS NOT NULL"
_HALTED_ACCOUNTS = "(SELECT h.accounts FROM halted AS h)::text[]"
_IS_HALTED = f"'' = ANY({_HALTED_ACCOUNTS}) OR o.account_id = ANY({_HALTED_ACCOUNTS})"

# The venue's circuit breaker ($2) is checked first. While it blocks, nothing is claimed and no order is read. With an
# open circuit one due order claims the breaker's row, by moving the next probe to when this attempt has certainly ended
# (half a lease): of several workers the first gets it, and for the others the row does not match. An attempt whose
# lease expired without a recorded end may have sent the order until then; until now at the latest, which applies after
# the clock was set back. (The ids go through an array: the planner cannot estimate how many rows a computed LIMIT
# returns, and for a join it reads the whole table.)
_CLAIM_TO_SUBMIT = f"""
WITH breaker AS MATERIALIZED (
    SELECT g.failures, g.probe_at IS NOT NULL AS is_open,
        greatest({PAUSED_UNTIL}, g.probe_at) > now() IS TRUE AS is_blocked
    FROM venue_gates AS g WHERE g.venue = $2
), halted AS MATERIALIZED (
    SELECT array_agg(h.account_id) AS accounts
    FROM (SELECT t.account_id FROM trading_halts AS t WHERE t.resumed_at IS NULL FOR KEY SHARE) AS h
), due AS MATERIALIZED (
    SELECT o.id FROM orders AS o
    WHERE NOT EXISTS (SELECT FROM breaker WHERE is_blocked)
        AND CASE WHEN {_HALTED_ACCOUNTS} IS NULL THEN true ELSE {_MAYBE_SENT} OR NOT ({_IS_HALTED}) END AND {{which}}
), probe AS (
    UPDATE venue_gates AS g SET probe_at = now() + $1::interval / 2
    WHERE g.venue = $2 AND g.probe_at <= now() AND EXISTS (SELECT FROM due)
    RETURNING g.venue
)
UPDATE orders AS o SET
    attempt = o.attempt + 1, attempts = o.attempts + 1, last_attempt_at = now(),
    maybe_sent_at = CASE WHEN {_MAYBE_SENT} THEN least(greatest(o.maybe_sent_at, o.lease_until), now()) END,
    lease_until = now() + $1::interval, submit_due_at = now() + $1::interval
WHERE o.id = ANY (ARRAY(SELECT id FROM due))
    AND ((SELECT is_open FROM breaker) IS NOT TRUE OR EXISTS (SELECT FROM probe))
RETURNING {ORDER_COLUMN_NAMES}, coalesce((SELECT is_open FROM breaker), false) AS is_probe,
    coalesce((SELECT failures FROM breaker), 0) AS venue_failures, ({_IS_HALTED}) IS TRUE AS is_halted
"""  # noqa: S608 - the names of our own columns
_ONE_PROBE = "(SELECT CASE WHEN is_open THEN 1 END FROM breaker)"
# A pause that the venue requests applies to cancel requests too; an open circuit does not: canceling may still work.
_CLAIM_TO_CANCEL = f"""
WITH due AS MATERIALIZED (
    SELECT o.id FROM orders AS o
    WHERE NOT EXISTS (SELECT FROM venue_gates AS g WHERE g.venue = $2 AND {PAUSED_UNTIL} > now()) AND {{which}}
)
UPDATE orders AS o SET cancel_due_at = now() + $1::interval
FROM due
WHERE o.id = due.id
RETURNING {ORDER_COLUMN_NAMES}
"""  # noqa: S608 - the names of our own columns

CLAIM = _CLAIM_TO_SUBMIT.format(which=_NAMED.format(due="o.submit_due_at", most=_ONE_PROBE))
CLAIM_DUE = _CLAIM_TO_SUBMIT.format(which=_OVERDUE.format(due="o.submit_due_at", most=_ONE_PROBE))
CLAIM_CANCELS = _CLAIM_TO_CANCEL.format(which=_NAMED.format(due="o.cancel_due_at", most="ALL"))
CLAIM_DUE_CANCELS = _CLAIM_TO_CANCEL.format(which=_OVERDUE.format(due="o.cancel_due_at", most="NULL"))
# A claim that was made later than now was made before the clock was set back: its age is unknown.
HOLDS_CLAIM = """
SELECT o.lease_until IS NOT NULL AND o.last_attempt_at BETWEEN now() - $3::interval AND now() AS is_held
FROM orders AS o WHERE o.id = $1 AND o.attempt = $2
"""
OLDEST_DUE = """
SELECT now() - min(o.submit_due_at) AS overdue FROM orders AS o WHERE o.submit_due_at <= now()
"""
VENUE_CLIENT_ORDER_IDS = """
SELECT o.venue_order_id, o.venue_client_order_id FROM orders AS o WHERE o.venue_order_id = ANY($1::text[])
UNION ALL
SELECT k.name, o.venue_client_order_id
FROM orders AS o CROSS JOIN LATERAL jsonb_object_keys(o.successors) AS k (name)
WHERE o.successors IS NOT NULL AND o.successors ?| $1::text[] AND k.name = ANY($1::text[])
"""
# A time in the future was written by a process with a wrong clock: it does not show when the last report arrived.
# (Without this an order whose end the stream dropped stayed open for the time by which the clock was ahead.)
OPEN_AT_VENUE = f"""
SELECT {ORDER_COLUMN_NAMES} FROM orders AS o
WHERE o.is_open_at_venue AND (o.updated_at < now() - $1::interval OR o.updated_at > now())
ORDER BY o.updated_at, o.id
LIMIT $2::int
"""  # noqa: S608 - the names of our own columns


@dataclass(frozen=True, slots=True)
class OrderClaimer:
    """The claims and queries of orders that need work at one venue."""

    database: Database
    venue: str
    telemetry: Telemetry

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        """Claim those of the orders that are due to be submitted."""
        return self._readable(await self.database.fetch(CLAIM, lease, self.venue, list(order_ids)), _claim_of)

    async def holds_claim(self, claim: Claim, *, within: timedelta) -> bool:
        """Return whether the claim is the newest of its order, not ended, and made at most `within` ago."""
        rows = await self.database.fetch(HOLDS_CLAIM, claim.order.id, claim.loaded.attempt, within)
        return any(row["is_held"] for row in rows)

    async def claim_due(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[Claim]:
        """Claim orders that have been due for longer than `overdue_by`, the longest due first."""
        rows = await self.database.fetch(CLAIM_DUE, lease, self.venue, overdue_by, limit)
        return self._readable(rows, _claim_of)

    async def claim_cancels(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[LoadedOrder]:
        """Claim those of the orders whose cancel request is due."""
        rows = await self.database.fetch(CLAIM_CANCELS, lease, self.venue, list(order_ids))
        return self._readable(rows, loaded_order_of)

    async def claim_due_cancels(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[LoadedOrder]:
        """Claim orders whose cancel request has been due for longer than `overdue_by`, the longest due first."""
        rows = await self.database.fetch(CLAIM_DUE_CANCELS, lease, self.venue, overdue_by, limit)
        return self._readable(rows, loaded_order_of)

    async def oldest_due(self) -> timedelta | None:
        """Return how long the most overdue order has been due to be submitted."""
        (row,) = await self.database.fetch(OLDEST_DUE)
        overdue: timedelta | None = row["overdue"]
        return overdue

    async def venue_client_order_ids(self, venue_order_ids: Collection[str]) -> Mapping[str, str]:
        """Return the venue client order ids of stored orders by the venue's own ids."""
        rows = await self.database.fetch(VENUE_CLIENT_ORDER_IDS, list(venue_order_ids))
        return {row["venue_order_id"]: row["venue_client_order_id"] for row in rows}

    async def open_at_venue(self, *, silent_for: timedelta, limit: int) -> Sequence[LoadedOrder]:
        """Return orders that are open at the venue and unchanged for `silent_for`, the longest unchanged first."""
        return self._readable(await self.database.fetch(OPEN_AT_VENUE, silent_for, limit), loaded_order_of)

    def _readable(self, rows: Sequence[Row], item_of: Callable[[Row], Read]) -> Sequence[Read]:
        """Read each row separately: one that this release cannot read must not block the others."""
        found = []
        for row in rows:
            try:
                found.append(item_of(row))
            except (KeyError, ValueError, TypeError, ArithmeticError) as error:
                self.telemetry.error(
                    "order_unreadable", order_id=str(row["id"]), error=repr(error), next="left out; the others continue"
                )
        return found


def _claim_of(row: Row) -> Claim:
    return Claim(
        loaded=loaded_order_of(row),
        claimed_at=row["last_attempt_at"],
        is_probe=row["is_probe"],
        venue_failures=row["venue_failures"],
        is_halted=row["is_halted"],
    )
