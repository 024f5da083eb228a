"""Revoked tokens in PostgreSQL, each under a position in the order of the commits.

A writer takes the next position by an update of the one row of `token_revocation_head`, and so locks that row until the
commit: the next writer gets its position only then. So a reader that has read position 7 has read everything up to 7,
and misses nothing that is committed later. A sequence does not guarantee that: 8 can be committed before 7.
"""

from db.columns import ID_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS
from db.database import Database, Row
from db.operator_actions import action_arguments, append_action
from db.revocation_tables import NOBODY
from domain.model.operator_actions import NewAction
from domain.model.revocations import Revocation, RevokedTokens
from domain.model.values import storable
from domain.ports.revocations import RevocationChanges, TokenRevocations

EXPIRED_DELETED_MAX = 100
"""How many expired rows one revocation deletes: it adds one at most, so the table stays bounded."""

# What is deleted is never the row that is written: one statement cannot do both.
REVOKE = f"""
WITH head AS (
    INSERT INTO token_revocation_head AS h (id, position) VALUES (1, 1)
    ON CONFLICT (id) DO UPDATE SET position = h.position + 1
    RETURNING h.position
), deleted AS (
    DELETE FROM token_revocations AS r
    WHERE (r.account_id, r.token_id) IN (
        SELECT e.account_id, e.token_id FROM token_revocations AS e
        WHERE e.expires_at < now() AND (e.account_id, e.token_id) <> ($1::text, $2::text)
        ORDER BY e.expires_at LIMIT $8::int
        FOR UPDATE SKIP LOCKED
    )
), revoked AS (
    INSERT INTO token_revocations AS r (
        account_id, token_id, issued_before, revoked_at, revoked_by, reason, expires_at, position
    )
    SELECT $1::text, $2::text, $3::timestamptz, $4::timestamptz, $5::text, $6::text, $7::timestamptz, head.position
    FROM head
    ON CONFLICT (account_id, token_id) DO UPDATE SET
        issued_before = greatest(r.issued_before, excluded.issued_before),
        revoked_at = excluded.revoked_at,
        revoked_by = excluded.revoked_by,
        reason = excluded.reason,
        expires_at = greatest(r.expires_at, excluded.expires_at),
        position = excluded.position
    RETURNING r.position
)
SELECT {append_action(9)} AS sequence FROM revoked
"""  # noqa: S608 - our own expression
CHANGES = """
WITH head AS (SELECT coalesce((SELECT h.position FROM token_revocation_head AS h), 0) AS position)
SELECT head.position AS head, r.position, r.account_id, r.token_id, r.issued_before, r.expires_at
FROM head LEFT JOIN LATERAL (
    SELECT n.* FROM token_revocations AS n
    WHERE n.position > CASE WHEN head.position < $1::bigint THEN 0 ELSE $1::bigint END
    ORDER BY n.position LIMIT $2::int
) AS r ON true
ORDER BY r.position
"""


class PostgresTokenRevocations(TokenRevocations):
    """Revocations in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def revoke(self, revocation: Revocation, *, action: NewAction) -> None:
        tokens = revocation.tokens
        await self.database.fetch(
            REVOKE,
            tokens.account_id or NOBODY,
            tokens.token_id or NOBODY,
            tokens.issued_before,
            revocation.revoked_at,
            storable(revocation.revoked_by, max_characters=ID_MAX_CHARACTERS),
            storable(revocation.reason, max_characters=MESSAGE_MAX_CHARACTERS),
            tokens.expires_at,
            EXPIRED_DELETED_MAX,
            *action_arguments(action),
        )

    async def changes_after(self, position: int, *, limit: int) -> RevocationChanges:
        rows = await self.database.fetch(CHANGES, position, limit)
        found = [row for row in rows if row["position"] is not None]
        has_more = len(found) == limit
        return RevocationChanges(
            tokens=[_tokens_of(row) for row in found],
            position=found[-1]["position"] if has_more else rows[0]["head"],
            has_more=has_more,
        )


def _tokens_of(row: Row) -> RevokedTokens:
    return RevokedTokens(
        account_id=row["account_id"] or None,
        token_id=row["token_id"] or None,
        issued_before=row["issued_before"],
        expires_at=row["expires_at"],
    )
