"""The state of a venue's circuit breaker: one row of `venue_gates`, which the claims check (see `db.order_claimer`)."""

from dataclasses import dataclass
from datetime import timedelta

from db.columns import MESSAGE_MAX_CHARACTERS
from db.database import Database, Row
from domain.model.values import storable
from domain.ports.breaker_store import BreakerState, BreakerStore, BreakerUpdate

PAUSED_UNTIL = "(CASE WHEN g.paused_until <= now() + interval '2 minutes' THEN g.paused_until END)"
"""A pause is a minute at most: one that ends later was stored before the clock was put back, and does not hold."""
HELD_FOR = f"greatest(greatest({PAUSED_UNTIL}, g.probe_at) - now(), interval '0') AS held_for"
"""How long nothing is claimed: NULL when neither was ever set."""

STATE = f"SELECT g.probe_at IS NOT NULL AS is_open, {HELD_FOR} FROM venue_gates AS g WHERE g.venue = $1"  # noqa: S608 - no input

# The count stops at the threshold until the circuit is open: the one call that reaches it is the one that opened it.
FAILED = f"""
INSERT INTO venue_gates AS g (venue, failures, probe_at, reason)
VALUES ($1, 1, CASE WHEN $3::int <= 1 THEN now() + $4::interval END, $2)
ON CONFLICT (venue) DO UPDATE SET
    failures = CASE WHEN g.probe_at IS NULL THEN least(g.failures + 1, $3::int) ELSE g.failures + 1 END,
    probe_at = CASE WHEN g.probe_at IS NOT NULL OR g.failures + 1 >= $3::int THEN now() + $4::interval END,
    reason = excluded.reason
RETURNING g.probe_at IS NOT NULL AND g.failures = $3::int AS is_new, {HELD_FOR}
"""  # noqa: S608 - no input
WORKED = f"""
UPDATE venue_gates AS g SET failures = 0, probe_at = NULL
FROM (SELECT b.venue, b.probe_at FROM venue_gates AS b WHERE b.venue = $1 AND b.failures > 0 FOR UPDATE) AS before
WHERE g.venue = before.venue
RETURNING before.probe_at IS NOT NULL AS is_new, {HELD_FOR}
"""  # noqa: S608 - no input
# Many requests are refused at the same time: an update that moves the end by at most a second is not written.
PAUSE = f"""
INSERT INTO venue_gates AS g (venue, paused_until, reason) VALUES ($1, now() + $2::interval, $3)
ON CONFLICT (venue) DO UPDATE SET paused_until = excluded.paused_until, reason = excluded.reason
WHERE ({PAUSED_UNTIL} < excluded.paused_until - interval '1 second') IS NOT FALSE
RETURNING true AS is_new, {HELD_FOR}
"""  # noqa: S608 - no input
ALLOW_NEXT_PROBE = "UPDATE venue_gates AS g SET probe_at = now() WHERE g.venue = $1 AND g.probe_at > now()"


@dataclass(frozen=True, slots=True)
class PostgresBreakerStore(BreakerStore):
    """BreakerStore in PostgreSQL, for one venue."""

    database: Database
    venue: str

    async def state(self) -> BreakerState:
        rows = await self.database.fetch(STATE, self.venue)
        return BreakerState(is_open=any(row["is_open"] for row in rows), held_for=_held_for(rows[0] if rows else None))

    async def record_failure(self, *, error: str, threshold: int, open_for: timedelta) -> BreakerUpdate:
        reason = storable(error, max_characters=MESSAGE_MAX_CHARACTERS)
        (row,) = await self.database.fetch(FAILED, self.venue, reason, threshold, open_for)
        return BreakerUpdate(is_new=row["is_new"], held_for=_held_for(row))

    async def record_success(self) -> BreakerUpdate:
        rows = await self.database.fetch(WORKED, self.venue)
        return BreakerUpdate(is_new=any(row["is_new"] for row in rows), held_for=_held_for(rows[0] if rows else None))

    async def pause(self, *, wait: timedelta, error: str) -> BreakerUpdate:
        reason = storable(error, max_characters=MESSAGE_MAX_CHARACTERS)
        written = await self.database.fetch(PAUSE, self.venue, wait, reason)
        if written:
            return BreakerUpdate(is_new=True, held_for=_held_for(written[0]))
        return BreakerUpdate(is_new=False, held_for=(await self.state()).held_for)

    async def allow_next_probe(self) -> None:
        await self.database.fetch(ALLOW_NEXT_PROBE, self.venue)


def _held_for(row: Row | None) -> timedelta:
    held_for: timedelta | None = None if row is None else row["held_for"]
    return held_for or timedelta(0)
