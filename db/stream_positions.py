"""The position of each venue's stream, and which process leads: one row for each venue."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from db.database import Database
from domain.ports.ingest_state import Fence, HeldLease, LeadershipLease, StreamPositions

READ = "SELECT p.moment FROM stream_positions AS p WHERE p.venue = $1"
ADVANCE = """
INSERT INTO stream_positions AS p (venue, moment) VALUES ($1, $2)
ON CONFLICT (venue) DO UPDATE SET moment = excluded.moment
WHERE (p.moment IS NULL OR p.moment < excluded.moment) AND ($3::bigint IS NULL OR p.epoch = $3::bigint)
"""
# Standby processes call this often. An UPDATE whose condition is false locks nothing, so it delays no batch of the
# leader; one whose condition is true waits for the batch that is being written, and every later one finds the new
# epoch. A process may acquire its own lease again: it does when the answer to an earlier call was lost. $4 and $5 are
# the lease that the caller has seen unrenewed for its whole duration, by a monotonic clock: it has ended although
# `now()`, which may have been set back, is before its end.
ACQUIRE = """
WITH taken AS (
    UPDATE stream_positions AS p SET epoch = p.epoch + 1, leader_id = $2, lease_until = now() + $3::interval
    WHERE p.venue = $1 AND (
        p.lease_until IS NULL OR p.lease_until <= now() OR p.leader_id = $2
        OR (p.epoch = $4::bigint AND p.lease_until = $5::timestamptz)
    )
    RETURNING p.epoch
), first AS (
    INSERT INTO stream_positions AS p (venue, epoch, leader_id, lease_until)
    SELECT $1, 1, $2, now() + $3::interval
    WHERE NOT EXISTS (SELECT FROM stream_positions AS other WHERE other.venue = $1)
    ON CONFLICT (venue) DO NOTHING
    RETURNING p.epoch
)
SELECT t.epoch, true AS is_taken, NULL::timestamptz AS lease_until FROM taken AS t
UNION ALL SELECT f.epoch, true, NULL FROM first AS f
UNION ALL SELECT p.epoch, false, p.lease_until FROM stream_positions AS p
    WHERE p.venue = $1 AND NOT EXISTS (SELECT FROM taken)
"""
RENEW = """
UPDATE stream_positions AS p SET lease_until = now() + $3::interval WHERE p.venue = $1 AND p.epoch = $2
RETURNING p.epoch
"""
RELEASE = "UPDATE stream_positions AS p SET lease_until = NULL WHERE p.venue = $1 AND p.epoch = $2"


@dataclass(frozen=True, slots=True)
class PostgresStreamPositions(StreamPositions):
    """Stream positions in PostgreSQL."""

    database: Database

    async def read(self, venue: str) -> datetime | None:
        rows = await self.database.fetch(READ, venue)
        return next((row["moment"] for row in rows), None)

    async def advance(self, venue: str, moment: datetime, *, fence: Fence | None = None) -> None:
        await self.database.fetch(ADVANCE, venue, moment, fence and fence.epoch)


@dataclass(frozen=True, slots=True)
class PostgresLeadershipLease(LeadershipLease):
    """Leases in PostgreSQL; `db.write_statement` compares their epochs."""

    database: Database

    async def acquire(
        self, venue: str, *, leader_id: UUID, lease: timedelta, ended: HeldLease | None = None
    ) -> Fence | HeldLease:
        seen = (None, None) if ended is None else (ended.epoch, ended.until)
        for row in await self.database.fetch(ACQUIRE, venue, leader_id, lease, *seen):
            if row["is_taken"]:
                return Fence(venue=venue, epoch=row["epoch"])
            return HeldLease(epoch=row["epoch"], until=row["lease_until"])
        return HeldLease(epoch=0, until=None)  # Another process has just inserted the row.

    async def renew(self, fence: Fence, *, lease: timedelta) -> bool:
        return bool(await self.database.fetch(RENEW, fence.venue, fence.epoch, lease))

    async def release(self, fence: Fence) -> None:
        await self.database.fetch(RELEASE, fence.venue, fence.epoch)
