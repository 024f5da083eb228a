"""The limits of accounts, cached: every new order needs them, and the statement that stores it compares `set_at`."""

import time
from collections.abc import Callable, Collection, Mapping

from db.columns import ID_MAX_CHARACTERS
from db.database import Database, Row
from db.look_ups import LookUpCache, batched_look_ups
from db.operator_actions import action_arguments, append_action
from db.trading_tables import EVERYBODY
from domain.model.errors import VersionConflictError
from domain.model.limits import NO_LIMITS, AccountLimits
from domain.model.operator_actions import NewAction
from domain.model.order import FINAL_STATUSES
from domain.model.values import storable
from domain.ports.trading_control import LimitBook

CACHED_ACCOUNTS_MAX = 50_000
RECOUNT_LOCK_KEY = 0x46_49_4C_4D

FIND = """
SELECT k.account_id AS asked, l.*
FROM unnest($1::text[]) AS k (account_id)
CROSS JOIN LATERAL (
    SELECT * FROM account_limits AS a WHERE a.account_id IN (k.account_id, '') ORDER BY a.account_id DESC LIMIT 1
) AS l
"""
OWN = "SELECT l.* FROM account_limits AS l WHERE l.account_id = $1"
# The time distinguishes two settings, so it advances even if the clock does not. The setting of the time $8 is
# replaced: the action contains the previous values. Nothing is stored if it no longer exists, or if another one exists
# now.
SAVE = f"""
WITH replaced AS MATERIALIZED (
    SELECT l.set_at FROM account_limits AS l WHERE l.account_id = $1 AND l.set_at = $8::timestamptz FOR UPDATE
), saved AS (
    INSERT INTO account_limits AS l (
        account_id, max_quantity, max_notional, price_collar_percent, max_open_orders, max_orders_per_second, set_by,
        set_at
    )
    SELECT $1, $2::numeric, $3::numeric, $4::numeric, $5::int, $6::int, $7::text, clock_timestamp()
    WHERE $8 IS NULL OR EXISTS (SELECT FROM replaced)
    ON CONFLICT (account_id) DO UPDATE SET
        max_quantity = excluded.max_quantity, max_notional = excluded.max_notional,
        price_collar_percent = excluded.price_collar_percent, max_open_orders = excluded.max_open_orders,
        max_orders_per_second = excluded.max_orders_per_second, set_by = excluded.set_by,
        set_at = greatest(excluded.set_at, l.set_at + interval '1 microsecond')
    WHERE l.set_at = $8
    RETURNING l.*
)
SELECT s.*, {append_action(9)} AS sequence FROM saved AS s
"""  # noqa: S608 - our own expression
OPEN_ORDERS = """
SELECT a.id, greatest(0, a.open_orders) AS open_orders FROM accounts AS a WHERE a.id = ANY($1::text[])
"""
IS_KNOWN = "SELECT FROM accounts AS a WHERE a.id = $1"
# The order and its account's number change in one statement, so the error of a number is the same in every snapshot,
# with any concurrent changes. Two small partial indexes contain every order that is not final.
_FINAL = ", ".join(f"'{status}'" for status in sorted(FINAL_STATUSES))
_DRIFTS = f"""
SELECT a.id, coalesce(o.count, 0) - a.open_orders AS drift
FROM accounts AS a
LEFT JOIN (
    SELECT u.account_id, count(*) AS count FROM (
        SELECT account_id, status FROM orders WHERE submit_due_at IS NOT NULL
        UNION ALL
        SELECT account_id, status FROM orders WHERE is_open_at_venue AND submit_due_at IS NULL
    ) AS u
    WHERE u.status NOT IN ({_FINAL})
    GROUP BY u.account_id
) AS o ON o.account_id = a.id
WHERE coalesce(o.count, 0) <> a.open_orders
"""  # noqa: S608 - the names of our own statuses
COUNT_WRONG = f"SELECT count(*) AS count FROM ({_DRIFTS}) AS d"  # noqa: S608 - our own statement
# A block, because each statement in it sees everything committed before it: so the second of two concurrent recounts
# waits for the first, and finds nothing to correct. Accounts by id, as everywhere.
RECOUNT = f"""
DO $$
DECLARE wrong record;
BEGIN
    PERFORM pg_advisory_xact_lock({RECOUNT_LOCK_KEY});
    FOR wrong IN {_DRIFTS} ORDER BY a.id LOOP
        UPDATE accounts SET open_orders = open_orders + wrong.drift WHERE id = wrong.id;
    END LOOP;
END $$
"""  # noqa: S608 - the names of our own statuses
CLEAR = f"""
WITH cleared AS (
    DELETE FROM account_limits AS l WHERE l.account_id = $1 AND l.set_at = $2 RETURNING l.account_id
)
SELECT {append_action(3)} AS sequence FROM cleared
"""  # noqa: S608 - our own expression


class PostgresLimitBook(LimitBook):
    """Limits in PostgreSQL, cached for `cache_seconds` by the monotonic `clock`."""

    def __init__(
        self, database: Database, *, cache_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._limits: LookUpCache[str, AccountLimits] = LookUpCache(
            self._read,
            missing=NO_LIMITS,
            entries_max=CACHED_ACCOUNTS_MAX,
            cache_seconds=cache_seconds,
            clock=clock,
        )
        self._open_orders = batched_look_ups(self._count_open, missing=0)

    async def limits_of(self, account_id: str, *, fresh: bool = False) -> AccountLimits:
        return await (self._limits.get_fresh(account_id) if fresh else self._limits.get(account_id))

    async def defaults(self) -> AccountLimits:
        return await self._limits.get_fresh(EVERYBODY)

    async def open_orders(self, account_id: str) -> int:
        return await self._open_orders.submit(account_id)

    async def recount_open_orders(self) -> int:
        """Correct every account's count of open orders while processes run; return how many were wrong."""
        (row,) = await self._database.fetch(COUNT_WRONG)
        wrong: int = row["count"]
        if wrong:
            await self._database.fetch(RECOUNT)
        return wrong

    async def is_known(self, account_id: str) -> bool:
        """Return whether the account has ever placed an order."""
        return bool(await self._database.fetch(IS_KNOWN, account_id))

    async def own_limits(self, account_id: str | None) -> AccountLimits | None:
        rows = await self._database.fetch(OWN, account_id or EVERYBODY)
        return _limits_of(rows[0]) if rows else None

    async def save(self, limits: AccountLimits, *, replaces: AccountLimits | None, action: NewAction) -> AccountLimits:
        rows = await self._database.fetch(
            SAVE,
            limits.account_id or EVERYBODY,
            limits.max_quantity,
            limits.max_notional,
            limits.price_collar_percent,
            limits.max_open_orders,
            limits.max_orders_per_second,
            storable(limits.set_by or "", max_characters=ID_MAX_CHARACTERS),
            replaces and replaces.set_at,
            *action_arguments(action),
        )
        self._limits.clear()
        if not rows:
            raise VersionConflictError
        return _limits_of(rows[0])

    async def clear(self, limits: AccountLimits, *, action: NewAction) -> None:
        account_id = limits.account_id or EVERYBODY
        cleared = await self._database.fetch(CLEAR, account_id, limits.set_at, *action_arguments(action))
        self._limits.clear()
        if not cleared:
            raise VersionConflictError

    async def _count_open(self, account_ids: Collection[str]) -> Mapping[str, int]:
        rows = await self._database.fetch(OPEN_ORDERS, list(account_ids))
        return {row["id"]: row["open_orders"] for row in rows}

    async def _read(self, account_ids: Collection[str]) -> Mapping[str, AccountLimits]:
        return {row["asked"]: _limits_of(row) for row in await self._database.fetch(FIND, list(account_ids))}


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
