"""Reading accounts: their list, which ids exist, and when each placed its last order."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import literal, select

from db.columns import NAME
from db.database import Database
from db.keyset import Keyset, read_page
from db.look_ups import batched_look_ups
from db.tables import accounts
from domain.model.order_query import Page, PageRequest
from domain.ports.readers import AccountReader
from domain.services.batcher import Batcher

# A halt or limits may be older than the rule that the id breaks now, and an operator has to be able to end them.
KNOWN = """
SELECT k.id FROM unnest($1::text[]) AS k (id)
WHERE EXISTS (SELECT FROM accounts AS a WHERE a.id = k.id)
    OR EXISTS (SELECT FROM trading_halts AS h WHERE h.account_id = k.id AND h.resumed_at IS NULL)
    OR EXISTS (SELECT FROM account_limits AS l WHERE l.account_id = k.id)
"""
LAST_ORDERS = """
SELECT k.id, o.created_at FROM unnest($1::text[]) AS k (id)
CROSS JOIN LATERAL (
    SELECT created_at FROM orders WHERE account_id = k.id ORDER BY created_at DESC, id DESC LIMIT 1
) AS o
"""
BEHIND_EVERY_ID = "\U0010ffff"
"""The last code point there is, which no id has: it cannot be printed. Ids sort by code point (see db.columns.NAME)."""
_BY_ID: Keyset[str] = Keyset(columns=(accounts.c.id,), values=lambda key: (literal(key, NAME),))


class PostgresAccountReader(AccountReader):
    """Accounts in PostgreSQL. Each call is one statement, except pages, which also read beyond their keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Concurrent calls share one query: a list of accounts asks for each of its rows.
        self._last_orders: Batcher[str, datetime | None] = batched_look_ups(self._read_last_orders, missing=None)

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[str]:
        rows = select(accounts.c.id)
        if search:
            # A range, so that the primary key is used for any search.
            rows = rows.where(accounts.c.id >= search, accounts.c.id < search + BEHIND_EVERY_ID)
        return await read_page(self._database, rows, request, keyset=_BY_ID, item_of=lambda row: str(row["id"]))

    async def known(self, account_ids: Collection[str]) -> Collection[str]:
        return {row["id"] for row in await self._database.fetch(KNOWN, list(account_ids))}

    async def last_order_at(self, account_id: str) -> datetime | None:
        return await self._last_orders.submit(account_id)

    async def _read_last_orders(self, account_ids: Collection[str]) -> Mapping[str, datetime]:
        return {row["id"]: row["created_at"] for row in await self._database.fetch(LAST_ORDERS, list(account_ids))}
