"""Up to which moment of each venue's clock everything was recorded."""

from dataclasses import dataclass
from datetime import datetime

from db.database import Database
from domain.ports import StreamPositions

READ = "SELECT p.moment FROM stream_positions AS p WHERE p.venue = $1"
ADVANCE = """
INSERT INTO stream_positions AS p (venue, moment) VALUES ($1, $2)
ON CONFLICT (venue) DO UPDATE SET moment = excluded.moment WHERE p.moment < excluded.moment
"""


@dataclass(frozen=True, slots=True)
class PostgresStreamPositions(StreamPositions):
    """One row for each venue."""

    database: Database

    async def read(self, venue: str) -> datetime | None:
        rows = await self.database.fetch(READ, venue)
        return next((row["moment"] for row in rows), None)

    async def advance(self, venue: str, moment: datetime) -> None:
        await self.database.fetch(ADVANCE, venue, moment)
