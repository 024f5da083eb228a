"""Dead letters: messages that could not be processed, raw, for people to inspect."""

import hashlib
from dataclasses import dataclass

from db.columns import CODE_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS, RAW_MAX_BYTES
from db.database import Database
from domain.model.values import storable
from domain.ports.ingest_state import DeadLetters

ADD = """
INSERT INTO dead_letters AS d (digest, source, error, raw, first_at, last_at) VALUES ($1, $2, $3, $4, now(), now())
ON CONFLICT (digest) DO UPDATE SET count = d.count + 1, error = excluded.error, last_at = excluded.last_at
"""


@dataclass(frozen=True, slots=True)
class PostgresDeadLetters(DeadLetters):
    """Dead letters in PostgreSQL: one row for each source and content; a message is cut at RAW_MAX_BYTES."""

    database: Database

    async def add(self, *, source: str, error: str, raw: bytes) -> None:
        digest = hashlib.sha256(source.encode("utf-8", "replace") + b"\0" + raw).digest()
        await self.database.fetch(
            ADD,
            digest,
            storable(source, max_characters=CODE_MAX_CHARACTERS),
            storable(error, max_characters=MESSAGE_MAX_CHARACTERS),
            raw[:RAW_MAX_BYTES],
        )
