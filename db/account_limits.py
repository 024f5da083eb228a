"""The limits of accounts, with a short memory: every new order looks them up, and whoever stores it compares."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from db.columns import ID_MAX_CHARACTERS, storable
from db.database import Database, Row
from db.group_commit import GroupCommit
from db.trading_tables import EVERYBODY
from domain.limits import NO_LIMITS, AccountLimits
from domain.order import FINAL_STATUSES
from domain.ports.trading_control import LimitBook

REMEMBERED_MAX_ACCOUNTS = 50_000
LOOKUP_BATCH_MAX_ACCOUNTS = 256
LOOKUP_QUEUE_MAX_CALLS = 4_096

FIND = """
SELECT k.account_id AS asked, l.*
FROM unnest($1::text[]) AS k (account_id)
CROSS JOIN LATERAL (
    SELECT * FROM account_limits AS a WHERE a.account_id IN (k.account_id, '') ORDER BY a.account_id DESC LIMIT 1
) AS l
"""
# The moment tells two settings apart, so it moves on even if the clock does not.
SAVE = """
INSERT INTO account_limits AS l (
    account_id, max_quantity, max_notional, price_collar_percent, max_open_orders, max_orders_per_second, set_by, set_at
)
VALUES ($1, $2::numeric, $3::numeric, $4::numeric, $5::int, $6::int, $7, clock_timestamp())
ON CONFLICT (account_id) DO UPDATE SET
    max_quantity = excluded.max_quantity, max_notional = excluded.max_notional,
    price_collar_percent = excluded.price_collar_percent, max_open_orders = excluded.max_open_orders,
    max_orders_per_second = excluded.max_orders_per_second, set_by = excluded.set_by,
    set_at = greatest(excluded.set_at, l.set_at + interval '1 microsecond')
RETURNING l.*
"""
OPEN_ORDERS = "SELECT a.open_orders FROM accounts AS a WHERE a.id = $1"
ACCOUNTS = "SELECT array_agg(a.id ORDER BY a.id) AS ids FROM accounts AS a"
COUNT = """
SELECT a.sequence, (
    SELECT count(*) FROM orders AS o WHERE o.account_id = a.id AND o.status <> ALL ($2::text[])
) AS count
FROM accounts AS a WHERE a.id = $1
"""
RECOUNT = """
UPDATE accounts AS a SET open_orders = $3::bigint
FROM (SELECT b.id, b.open_orders FROM accounts AS b WHERE b.id = $1 AND b.sequence = $2::bigint FOR UPDATE) AS before
WHERE a.id = before.id
RETURNING before.open_orders <> $3::bigint AS was_wrong
"""
CLEAR = "DELETE FROM account_limits AS l WHERE l.account_id = $1 RETURNING l.account_id"


@dataclass(frozen=True, slots=True)
class _Remembered:
    limits: AccountLimits
    until: float


class PostgresLimitBook(LimitBook):
    """Limits in PostgreSQL. What was found is believed for `cache_seconds`, by the monotonic `clock`."""

    def __init__(
        self, database: Database, *, cache_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}
        # Calls at one moment share one look-up, or each end of a memory would be a stampede.
        self._lookups: GroupCommit[str, AccountLimits] = GroupCommit(
            self._look_up, batch_max_items=LOOKUP_BATCH_MAX_ACCOUNTS, queue_max_items=LOOKUP_QUEUE_MAX_CALLS
        )

    async def limits_of(self, account_id: str, *, fresh: bool = False) -> AccountLimits:
        remembered = self._remembered.get(account_id)
        if not fresh and remembered is not None and self._clock() < remembered.until:
            return remembered.limits
        return await self._lookups.submit(account_id)

    async def defaults(self) -> AccountLimits:
        return (await self._look_up([EVERYBODY]))[0]

    async def open_orders(self, account_id: str) -> int:
        return sum(row["open_orders"] for row in await self._database.fetch(OPEN_ORDERS, account_id))

    async def recount_open_orders(self) -> int:
        """Count every account's open orders anew; gives how many accounts were wrong.

        Exact beside running processes: the account's sequence moves on with every change, so what was counted holds
        for as long as it has not.
        """
        (row,) = await self._database.fetch(ACCOUNTS)
        wrong = 0
        for account_id in row["ids"] or ():
            while not (counted := await self._database.fetch(RECOUNT, account_id, *await self._count(account_id))):
                pass
            wrong += counted[0]["was_wrong"]
        return wrong

    async def _count(self, account_id: str) -> tuple[int, int]:
        (row,) = await self._database.fetch(COUNT, account_id, sorted(FINAL_STATUSES))
        return (row["sequence"], row["count"])

    async def save(self, limits: AccountLimits) -> AccountLimits:
        (row,) = await self._database.fetch(
            SAVE,
            limits.account_id or EVERYBODY,
            limits.max_quantity,
            limits.max_notional,
            limits.price_collar_percent,
            limits.max_open_orders,
            limits.max_orders_per_second,
            storable(limits.set_by or "", max_characters=ID_MAX_CHARACTERS),
        )
        self._remembered.clear()
        return _limits_of(row)

    async def clear(self, account_id: str | None) -> bool:
        removed = await self._database.fetch(CLEAR, account_id or EVERYBODY)
        self._remembered.clear()
        return bool(removed)

    async def _look_up(self, account_ids: Sequence[str]) -> Sequence[AccountLimits]:
        rows = await self._database.fetch(FIND, list(set(account_ids)))
        found = {row["asked"]: _limits_of(row) for row in rows}
        if len(self._remembered) + len(account_ids) > REMEMBERED_MAX_ACCOUNTS:
            self._remembered.clear()
        until = self._clock() + self._cache_seconds
        for account_id in account_ids:
            self._remembered[account_id] = _Remembered(found.get(account_id, NO_LIMITS), until)
        return [found.get(account_id, NO_LIMITS) for account_id in account_ids]


def _limits_of(row: Row) -> AccountLimits:
    return AccountLimits(
        account_id=row["account_id"] or None,
        max_quantity=row["max_quantity"],
        max_notional=row["max_notional"],
        price_collar_percent=row["price_collar_percent"],
        max_open_orders=row["max_open_orders"],
        max_orders_per_second=row["max_orders_per_second"],
        set_at=row["set_at"],
        set_by=row["set_by"],
    )
