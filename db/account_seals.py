"""The seals of the accounts' changes, and the queries for creating them. No hot statement is involved.

An account is found by comparing its position in `accounts` with its newest seal in `sealed_accounts`: one hash join of
two small tables for all accounts. A seal is stored only if the newest one is still its predecessor, so two concurrent
sealers are harmless; the lease only avoids duplicate work.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from db.database import Database, Row
from db.fact_json import restatement_of
from domain.model.audit_chain import ChainHead, ChangeRecord, account_genesis, restatement_text
from domain.ports.audit import AccountSeals, ChangeRange, NewSeal, SealedAccount
from domain.services.batcher import Batcher

HEADS_BATCH_MAX_ACCOUNTS = 256
HEADS_QUEUE_MAX_CALLS = 4_096

CHANGE_COLUMNS = ", ".join(f"c.{name}" for name in ChangeRecord._fields)

# A lease that ends later than one from now was written before the database's clock was put back.
LEAD = """
INSERT INTO seal_lease AS l (id, holder, lease_until) VALUES (1, $1, now() + $2::interval)
ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
WHERE l.holder = excluded.holder OR l.lease_until NOT BETWEEN now() AND excluded.lease_until
RETURNING l.id
"""
HEADS = "SELECT s.account_id, s.sequence, s.hash FROM sealed_accounts AS s WHERE s.account_id = ANY($1::text[])"
UNSEALED = """
SELECT a.id AS account_id, a.sequence AS position, s.sequence, s.hash
FROM accounts AS a LEFT JOIN sealed_accounts AS s ON s.account_id = a.id
WHERE a.sequence IS DISTINCT FROM s.sequence AND (a.sequence > 0 OR s.sequence > 0)
ORDER BY a.id = ANY($2::text[]), s.sealed_at NULLS FIRST, a.id
LIMIT $1
"""
# Range by range (OFFSET 0 forbids anything else): each is one scan of the primary key.
CHANGES = f"""
SELECT {CHANGE_COLUMNS}
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (account_id, after, up_to)
CROSS JOIN LATERAL (
    SELECT * FROM order_changes AS o
    WHERE o.account_id = k.account_id AND o.sequence > k.after AND o.sequence <= k.up_to
    ORDER BY o.sequence
    OFFSET 0
) AS c
"""  # noqa: S608 - our own columns
SEAL = """
WITH advanced AS (
    INSERT INTO sealed_accounts AS s (account_id, sequence, hash, sealed_at)
    SELECT n.account_id, n.sequence, n.hash, clock_timestamp()
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[])
        AS n (account_id, sequence, hash, replaced_sequence, replaced_hash)
    WHERE n.replaced_sequence = 0 OR EXISTS (
        SELECT FROM sealed_accounts AS e
        WHERE e.account_id = n.account_id AND e.sequence = n.replaced_sequence AND e.hash = n.replaced_hash
    )
    ORDER BY n.account_id COLLATE "C"
    ON CONFLICT (account_id) DO UPDATE SET
        sequence = excluded.sequence, hash = excluded.hash, sealed_at = excluded.sealed_at
    WHERE s.sequence < excluded.sequence AND s.sequence = (
        SELECT n.replaced_sequence FROM unnest($1::text[], $4::bigint[]) AS n (account_id, replaced_sequence)
        WHERE n.account_id = excluded.account_id
    )
    RETURNING s.account_id, s.sequence, s.hash, s.sealed_at
), kept AS (
    INSERT INTO account_seals AS a (account_id, up_to_sequence, hash, sealed_at)
    SELECT d.account_id, d.sequence, d.hash, d.sealed_at FROM advanced AS d
    ON CONFLICT (account_id, up_to_sequence) DO NOTHING
)
SELECT d.account_id FROM advanced AS d
"""


class PostgresAccountSeals(AccountSeals):
    """Seals in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.database = database
        # Concurrent calls share one query: a list of accounts calls it for each of its rows.
        self._heads: Batcher[str, ChainHead] = Batcher(
            self._read_heads, batch_max_items=HEADS_BATCH_MAX_ACCOUNTS, queue_max_items=HEADS_QUEUE_MAX_CALLS
        )

    async def lead(self, holder: UUID, *, lease: timedelta) -> bool:
        return bool(await self.database.fetch(LEAD, holder, lease))

    async def head(self, account_id: str) -> ChainHead:
        return await self._heads.submit(account_id)

    async def _read_heads(self, account_ids: Sequence[str]) -> Sequence[ChainHead]:
        heads = await self.heads(set(account_ids))
        return [heads[account_id] for account_id in account_ids]

    async def heads(self, account_ids: Collection[str]) -> Mapping[str, ChainHead]:
        rows = await self.database.fetch(HEADS, list(account_ids))
        found = {row["account_id"]: ChainHead(row["sequence"], row["hash"]) for row in rows}
        return {account_id: found.get(account_id) or account_genesis(account_id) for account_id in account_ids}

    async def unsealed(self, *, limit: int, last: Collection[str] = ()) -> Sequence[SealedAccount]:
        return [_account_of(row) for row in await self.database.fetch(UNSEALED, limit, list(last))]

    async def changes(self, ranges: Sequence[ChangeRange]) -> Mapping[str, Sequence[ChangeRecord]]:
        rows = await self.database.fetch(
            CHANGES,
            [one.account_id for one in ranges],
            [one.after for one in ranges],
            [one.up_to for one in ranges],
        )
        found: dict[str, list[ChangeRecord]] = {one.account_id: [] for one in ranges}
        for row in rows:
            change = change_of(row)
            found[change.account_id].append(change)
        return found

    async def seal(self, seals: Sequence[NewSeal]) -> Collection[str]:
        stored = await self.database.fetch(
            SEAL,
            [seal.account_id for seal in seals],
            [seal.head.sequence for seal in seals],
            [seal.head.hash for seal in seals],
            [seal.replaces.sequence for seal in seals],
            [seal.replaces.hash for seal in seals],
        )
        return {row["account_id"] for row in stored}


def change_of(row: Row) -> ChangeRecord:
    """Return the change of a row with the columns of CHANGE_COLUMNS."""
    restatement = restatement_of(row["restatement"])
    stored = ChangeRecord(*(row[name] for name in ChangeRecord._fields))
    return stored._replace(restatement=None if restatement is None else restatement_text(restatement))


def _account_of(row: Row) -> SealedAccount:
    head = account_genesis(row["account_id"]) if row["hash"] is None else ChainHead(row["sequence"], row["hash"])
    return SealedAccount(account_id=row["account_id"], sequence=row["position"], head=head)
