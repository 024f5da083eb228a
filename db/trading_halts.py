"""Halts of trading: the trail, and the wait that puts a halt into force in every process.

Storing and claiming read `trading_halts` in the statement that writes, so statements that begin after a halt's commit
see it. Earlier ones hold ROW SHARE on the table until their own commit, through FOR KEY SHARE; EXCLUSIVE waits for
exactly those, later ones queue after it, and it does not wait for readers: neither a dump nor an open transaction
delays the answer to a halt. So it costs the orders nothing, and when `halt` returns, no affected order can be stored or
claimed. Locking a table requires the privilege to change all of it, so a function of the tables' owner does only that,
for the roles that halt (`db.roles`).
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Uuid, literal, select

from db.columns import ID_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS
from db.database import Database, Row
from db.keyset import Keyset, read_page
from db.look_ups import batched_look_ups
from db.operator_actions import action_arguments, append_action
from db.trading_tables import EVERYBODY, trading_halts
from domain.model.operator_actions import NewAction
from domain.model.order_query import Page, PageRequest
from domain.model.values import storable
from domain.ports.trading_control import HaltFilter, TradingHalt, TradingHalts

OPEN_HALTS_MAX = 10_000

HALT = f"""
WITH begun AS (
    INSERT INTO trading_halts AS h (id, account_id, halted_at, halted_by, halt_reason) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (account_id) WHERE resumed_at IS NULL DO NOTHING
    RETURNING h.id
)
SELECT {append_action(6)} AS sequence FROM begun
"""  # noqa: S608 - our own expression
WAIT = "SELECT wait_for_orders_before_halts()"
WAIT_FUNCTION = """
CREATE OR REPLACE FUNCTION wait_for_orders_before_halts() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp
AS $$ BEGIN LOCK TABLE trading_halts IN EXCLUSIVE MODE; END $$
"""
OPEN_HALT = "SELECT h.* FROM trading_halts AS h WHERE h.account_id = $1 AND h.resumed_at IS NULL"
RESUME = f"""
WITH ended AS (
    UPDATE trading_halts AS h SET resumed_at = now(), resumed_by = $2, resume_reason = $3
    WHERE h.id = $1 AND h.resumed_at IS NULL
    RETURNING h.*
)
SELECT e.*, {append_action(4)} AS sequence FROM ended AS e
"""  # noqa: S608 - our own expression
HALTED = """
SELECT h.account_id FROM trading_halts AS h
WHERE h.resumed_at IS NULL AND h.account_id = ANY($1::text[] || ''::text)
"""
HALTED_ACCOUNTS = "SELECT nullif(h.account_id, '') AS account_id FROM trading_halts AS h WHERE h.resumed_at IS NULL"
OPEN_HALTS = """
SELECT h.* FROM trading_halts AS h WHERE h.resumed_at IS NULL ORDER BY h.halted_at DESC, h.id LIMIT $1::int
"""
FIND = "SELECT h.* FROM trading_halts AS h WHERE h.id = ANY($1::uuid[])"

_NEWEST_FIRST: Keyset[UUID] = Keyset(
    columns=(trading_halts.c.id,), values=lambda key: (literal(key, Uuid),), descending=True
)


class PostgresTradingHalts(TradingHalts):
    """Halts in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._looking = batched_look_ups(self._look, missing=False)

    async def halt(self, halt: TradingHalt, *, action: NewAction) -> TradingHalt:
        account_id = halt.account_id or EVERYBODY
        begun = (halt.id, account_id, halt.halted_at, _name(halt.halted_by), _sentence(halt.halt_reason))
        await self.database.fetch(HALT, *begun, *action_arguments(action))
        # Also for an earlier halt: the process that began that one may have crashed before this wait.
        await self.database.fetch(WAIT)
        rows = await self.database.fetch(OPEN_HALT, account_id)
        # Resumed by a concurrent action: then that one ended it.
        return _halt_of(rows[0]) if rows else halt

    async def resume(self, halt_id: UUID, *, by: str, reason: str, action: NewAction) -> TradingHalt | None:
        rows = await self.database.fetch(RESUME, halt_id, _name(by), _sentence(reason), *action_arguments(action))
        return _halt_of(rows[0]) if rows else None

    async def is_halted(self, account_id: str) -> bool:
        # Concurrent ones share a read that begins after each of them was called.
        return await self._looking.submit(account_id)

    async def halted_accounts(self) -> Collection[str | None]:
        return {row["account_id"] for row in await self.database.fetch(HALTED_ACCOUNTS)}

    async def open_halts(self) -> Sequence[TradingHalt]:
        return [_halt_of(row) for row in await self.database.fetch(OPEN_HALTS, OPEN_HALTS_MAX)]

    async def find(self, halt_ids: Collection[UUID]) -> Sequence[TradingHalt]:
        return [_halt_of(row) for row in await self.database.fetch(FIND, list(halt_ids))]

    async def page(self, request: PageRequest[UUID], *, filter: HaltFilter) -> Page[TradingHalt]:  # noqa: A002 - the port's parameter name
        rows = select(*trading_halts.columns)
        if filter.is_open is not None:
            is_open = trading_halts.c.resumed_at.is_(None)
            rows = rows.where(is_open if filter.is_open else ~is_open)
        if filter.account_id is not None:
            rows = rows.where(trading_halts.c.account_id.in_([filter.account_id, EVERYBODY]))
        return await read_page(self.database, rows, request, keyset=_NEWEST_FIRST, item_of=_halt_of)

    async def _look(self, account_ids: Collection[str]) -> Mapping[str, bool]:
        halted = {row["account_id"] for row in await self.database.fetch(HALTED, list(account_ids))}
        return {account_id: EVERYBODY in halted or account_id in halted for account_id in account_ids}


def wait_function(schema: str) -> str:
    """Return the statement that makes the function of WAIT, for the tables of the schema, an identifier of SQL."""
    return WAIT_FUNCTION.format(schema=schema)


def _name(text: str) -> str:
    return storable(text, max_characters=ID_MAX_CHARACTERS)


def _sentence(text: str) -> str:
    return storable(text, max_characters=MESSAGE_MAX_CHARACTERS)


def _halt_of(row: Row) -> TradingHalt:
    return TradingHalt(
        id=row["id"],
        account_id=row["account_id"] or None,
        halted_at=row["halted_at"],
        halted_by=row["halted_by"],
        halt_reason=row["halt_reason"],
        resumed_at=row["resumed_at"],
        resumed_by=row["resumed_by"],
        resume_reason=row["resume_reason"],
    )
