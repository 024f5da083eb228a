"""The accounts' sequences of changes: a subscriber's missed changes, and an account's position."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, exists, select

from db.change_rows import changes
from db.database import Database
from db.snapshot_rows import HELD_COLUMNS, change_of, snapshot_of
from db.tables import accounts, order_changes, orders
from domain.model.changes import RecordedChange
from domain.model.errors import HistoryGoneError
from domain.ports.readers import AccountPosition, ChangeLog

POSITIONS = "SELECT a.id, a.sequence FROM accounts AS a WHERE a.id = ANY($1::text[])"

_CHANGE = order_changes.c


@dataclass(frozen=True, slots=True)
class PostgresChangeLog(ChangeLog):
    """Reads the changes by their places."""

    database: Database

    async def changes_after(
        self, account_id: str, sequence: int, *, limit: int, order_id: UUID | None = None
    ) -> Sequence[RecordedChange]:
        rows = changes().where(_CHANGE.account_id == account_id, _CHANGE.sequence > sequence)
        if order_id is not None:
            rows = rows.where(_CHANGE.order_id == order_id)
        found = [change_of(row) for row in await self.database.select(rows.order_by(_CHANGE.sequence).limit(limit))]
        if not found or found[0].sequence != sequence + 1:
            # A change may be missing in between, or there is nothing newer, or it is of other orders.
            next_one = exists().where(_CHANGE.account_id == account_id, _CHANGE.sequence == sequence + 1)
            behind = select(accounts.c.id).where(accounts.c.id == account_id, accounts.c.sequence > sequence)
            await self._require_none(behind.where(~next_one))
        return found

    async def order_changes_after(self, order_id: UUID, version: int, *, limit: int) -> Sequence[RecordedChange]:
        rows = changes().where(_CHANGE.order_id == order_id, _CHANGE.version > version)
        found = [change_of(row) for row in await self.database.select(rows.order_by(_CHANGE.version).limit(limit))]
        if not found or found[0].order.version != version + 1:
            next_one = exists().where(_CHANGE.order_id == order_id, _CHANGE.version == version + 1)
            behind = select(orders.c.id).where(orders.c.id == order_id, orders.c.version > version)
            await self._require_none(behind.where(~next_one))
        return found

    async def position(self, account_id: str) -> int:
        return (await self.positions([account_id]))[account_id]

    async def positions(self, account_ids: Collection[str]) -> Mapping[str, int]:
        found = {row["id"]: row["sequence"] for row in await self.database.fetch(POSITIONS, list(account_ids))}
        return {account_id: found.get(account_id, 0) for account_id in account_ids}

    async def order_position(self, order_id: UUID, *, account_id: str | None) -> AccountPosition | None:
        rows = (
            select(*orders.columns, *HELD_COLUMNS, accounts.c.sequence)
            .join_from(orders, accounts, accounts.c.id == orders.c.account_id)
            .where(orders.c.id == order_id)
        )
        if account_id is not None:
            rows = rows.where(orders.c.account_id == account_id)
        found = await self.database.select(rows)
        return next((AccountPosition(order=snapshot_of(row), sequence=row["sequence"]) for row in found), None)

    async def _require_none(self, gone: Select[tuple[object]]) -> None:
        if await self.database.select(gone):
            raise HistoryGoneError
