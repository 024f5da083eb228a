"""The audit trail as a stream of records, page by page: for its verification and its export.

Each chain is read up to its position at the start, so processes may write concurrently.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from db.account_seals import CHANGE_COLUMNS, change_of
from db.database import Database, Row
from db.operator_actions import action_of
from domain.model.audit_chain import ChainHead, account_genesis, actions_genesis
from domain.model.audit_records import (
    Chain,
    Record,
    action_record,
    change_record,
    end_record,
    head_record,
    seal_record,
    start_record,
    unreadable_record,
)

PAGE_MAX_ROWS = 1_000

ACTION_HEAD = "SELECT h.sequence, h.hash FROM operator_action_head AS h"
ACTION_BEFORE = """
SELECT a.sequence, a.hash FROM operator_actions AS a WHERE a.at < $1 ORDER BY a.sequence DESC LIMIT 1
"""
ACTIONS = """
SELECT a.* FROM operator_actions AS a WHERE a.sequence > $1 AND a.sequence <= $2 ORDER BY a.sequence LIMIT $3
"""
UNEXPECTED_ACTION = """
SELECT min(a.sequence) AS sequence FROM operator_actions AS a
WHERE a.sequence < 1 OR a.sequence > coalesce((SELECT h.sequence FROM operator_action_head AS h), 0)
"""
# The next accounts in any of the tables. `order_changes` is not scanned: one index look-up for each account.
ACCOUNTS = """
WITH RECURSIVE changed AS (
    (SELECT c.account_id FROM order_changes AS c WHERE c.account_id > $1 ORDER BY c.account_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT c.account_id FROM order_changes AS c WHERE c.account_id > p.account_id ORDER BY c.account_id LIMIT 1
    )
    FROM changed AS p WHERE p.account_id IS NOT NULL
)
SELECT n.account_id FROM (
    (SELECT a.id AS account_id FROM accounts AS a WHERE a.id > $1 ORDER BY a.id LIMIT $2)
    UNION
    (SELECT s.account_id FROM sealed_accounts AS s WHERE s.account_id > $1 ORDER BY s.account_id LIMIT $2)
    UNION
    (SELECT c.account_id FROM changed AS c WHERE c.account_id IS NOT NULL LIMIT $2)
) AS n
ORDER BY n.account_id COLLATE "C"
LIMIT $2
"""
# The iteration over the accounts begins after the empty text, which is not an account's id but fits into both columns.
NAMELESS = """
SELECT EXISTS (SELECT FROM order_changes AS c WHERE c.account_id = '')
    OR EXISTS (SELECT FROM sealed_accounts AS s WHERE s.account_id = '') AS found
"""
ACCOUNT = """
SELECT coalesce((SELECT a.sequence FROM accounts AS a WHERE a.id = $1), 0) AS position, s.sequence, s.hash
FROM (SELECT) AS one LEFT JOIN sealed_accounts AS s ON s.account_id = $1
"""
IS_KNOWN = """
SELECT FROM (SELECT) AS one WHERE EXISTS (SELECT FROM accounts AS a WHERE a.id = $1)
    OR EXISTS (SELECT FROM sealed_accounts AS s WHERE s.account_id = $1)
    OR EXISTS (SELECT FROM account_seals AS s WHERE s.account_id = $1)
    OR EXISTS (SELECT FROM order_changes AS c WHERE c.account_id = $1)
"""
SEAL_BEFORE = """
SELECT s.up_to_sequence AS sequence, s.hash FROM account_seals AS s
WHERE s.account_id = $1 AND s.sealed_at < $2 ORDER BY s.up_to_sequence DESC LIMIT 1
"""
SEALS = """
SELECT s.up_to_sequence AS sequence, s.hash, s.sealed_at FROM account_seals AS s
WHERE s.account_id = $1 AND s.up_to_sequence > $2 AND s.up_to_sequence <= $3 ORDER BY s.up_to_sequence
"""
SEALS_BEYOND = """
SELECT s.up_to_sequence AS sequence, s.hash, s.sealed_at FROM account_seals AS s
WHERE s.account_id = $1 AND s.up_to_sequence > $2
    AND s.up_to_sequence > coalesce((SELECT a.sequence FROM accounts AS a WHERE a.id = $1), 0)
ORDER BY s.up_to_sequence DESC LIMIT 1
"""
CHANGES = f"""
SELECT {CHANGE_COLUMNS} FROM order_changes AS c
WHERE c.account_id = $1 AND c.sequence > $2 AND c.sequence <= $3 ORDER BY c.sequence LIMIT $4
"""  # noqa: S608 - our own columns
UNEXPECTED_CHANGE = """
SELECT min(c.sequence) AS sequence FROM order_changes AS c
WHERE c.account_id = $1
    AND (c.sequence < 1 OR c.sequence > coalesce((SELECT a.sequence FROM accounts AS a WHERE a.id = $1), 0))
"""


@dataclass(frozen=True, slots=True)
class PostgresAuditTrail:
    """Reads the trail. Every method raises UnavailableError; memory is bounded by a page."""

    database: Database

    async def is_known(self, account_id: str) -> bool:
        """Return whether there is anything of the account."""
        return bool(await self.database.fetch(IS_KNOWN, account_id))

    async def records(self, *, account_id: str | None, since: datetime | None) -> AsyncIterator[Record]:
        """Yield the records of every chain, or of one account's; with `since` only of what was stored from then on."""
        if account_id is None:
            async for record in _readable(None, self._actions(since)):
                yield record
        async for each in self._account_ids(account_id):
            async for record in _readable(each, self._account(each, since)):
                yield record

    async def heads(self, *, account_id: str | None) -> AsyncIterator[Record]:
        """Yield the head of every chain, or of one account's."""
        if account_id is None:
            yield head_record(None, await self._action_head())
        async for each in self._account_ids(account_id):
            _, head = await self._position(each)
            yield head_record(each, head)

    async def _actions(self, since: datetime | None) -> AsyncIterator[Record]:
        head = await self._action_head()
        start = actions_genesis()
        if since is not None and (found := await self.database.fetch(ACTION_BEFORE, since)):
            start = _head_of(found[0])
        yield start_record(None, start)
        yield head_record(None, head)
        last = start.sequence
        while rows := await self.database.fetch(ACTIONS, last, head.sequence, PAGE_MAX_ROWS):
            for row in rows:
                yield action_record(action_of(row))
            last = rows[-1]["sequence"]
        (row,) = await self.database.fetch(UNEXPECTED_ACTION)
        yield end_record(None, position=head.sequence, unexpected=row["sequence"])

    async def _account(self, account_id: str, since: datetime | None) -> AsyncIterator[Record]:
        position, head = await self._position(account_id)
        start = account_genesis(account_id)
        if since is not None and (found := await self.database.fetch(SEAL_BEFORE, account_id, since)):
            start = _head_of(found[0])
        yield start_record(account_id, start)
        yield head_record(account_id, head)
        last, end = start.sequence, max(position, head.sequence)
        while rows := await self.database.fetch(CHANGES, account_id, last, end, PAGE_MAX_ROWS):
            up_to = rows[-1]["sequence"]
            for seal in await self.database.fetch(SEALS, account_id, last, up_to):
                yield seal_record(account_id, _head_of(seal), seal["sealed_at"])
            for row in rows:
                yield change_record(change_of(row))
            last = up_to
        # Seals of changes beyond the account's position.
        for seal in await self.database.fetch(SEALS_BEYOND, account_id, last):
            yield seal_record(account_id, _head_of(seal), seal["sealed_at"])
        (row,) = await self.database.fetch(UNEXPECTED_CHANGE, account_id)
        yield end_record(account_id, position=position, unexpected=row["sequence"])

    async def _account_ids(self, only: str | None) -> AsyncIterator[str]:
        if only is not None:
            yield only
            return
        last = ""
        (nameless,) = await self.database.fetch(NAMELESS)
        if nameless["found"]:
            yield last
        while rows := await self.database.fetch(ACCOUNTS, last, PAGE_MAX_ROWS):
            for row in rows:
                yield row["account_id"]
            last = rows[-1]["account_id"]

    async def _action_head(self) -> ChainHead:
        rows = await self.database.fetch(ACTION_HEAD)
        return _head_of(rows[0]) if rows else actions_genesis()

    async def _position(self, account_id: str) -> tuple[int, ChainHead]:
        (row,) = await self.database.fetch(ACCOUNT, account_id)
        return row["position"], account_genesis(account_id) if row["hash"] is None else _head_of(row)


async def _readable(chain: Chain, records: AsyncIterator[Record]) -> AsyncIterator[Record]:
    """Yield the records up to an unreadable row, such as a time beyond Python's range, and report that."""
    try:
        async for record in records:
            yield record
    except (OverflowError, ValueError):
        yield unreadable_record(chain)


def _head_of(row: Row) -> ChainHead:
    return ChainHead(row["sequence"], row["hash"])
