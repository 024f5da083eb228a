"""Reading orders, executions and histories for people."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Select, Uuid, any_, literal, select

from db.change_rows import changes
from db.database import Database
from db.keyset import Keyset, read_page
from db.order_pages import orders_like
from db.rows import HELD_COLUMNS, change_of, execution_view_of, snapshot_of
from db.tables import executions, order_changes, orders
from domain.changes import ExecutionView, OrderSnapshot, RecordedChange
from domain.ports.reading import OrderReader
from domain.reading import OrderFilter, OrderKey, OrderSort, Page, PageRequest

_EXECUTIONS_BY_ID: Keyset[UUID] = Keyset(columns=(executions.c.id,), values=lambda key: (literal(key, Uuid),))
_CHANGES_BY_VERSION: Keyset[int] = Keyset(
    columns=(order_changes.c.version,), values=lambda key: (literal(key, Integer),)
)


@dataclass(frozen=True, slots=True)
class PostgresOrderReader(OrderReader):
    """Reads by SQLAlchemy Core; every read is one statement but pages, which look beyond their keys as well."""

    database: Database

    async def order(self, order_id: UUID, *, account_id: str | None) -> OrderSnapshot | None:
        return (await self.orders_by_id([order_id], account_id=account_id)).get(order_id)

    async def orders_by_id(
        self, order_ids: Collection[UUID], *, account_id: str | None
    ) -> Mapping[UUID, OrderSnapshot]:
        rows = _visible(select(*orders.columns, *HELD_COLUMNS), account_id).where(
            orders.c.id == any_(literal(list(order_ids), ARRAY(Uuid)))
        )
        return {row["id"]: snapshot_of(row) for row in await self.database.select(rows)}

    async def by_client_order_id(self, client_order_id: str, *, account_id: str) -> OrderSnapshot | None:
        rows = _visible(select(*orders.columns, *HELD_COLUMNS), account_id).where(
            orders.c.client_order_id == client_order_id
        )
        return next((snapshot_of(row) for row in await self.database.select(rows)), None)

    async def page(
        self,
        request: PageRequest[OrderKey],
        *,
        sort: OrderSort,
        filter: OrderFilter,  # noqa: A002 - the port's word
    ) -> Page[OrderSnapshot]:
        rows, keyset = orders_like(filter, sort=sort)
        return await read_page(self.database, rows, request, keyset=keyset, item_of=snapshot_of)

    async def executions(self, order_id: UUID, request: PageRequest[UUID]) -> Page[ExecutionView]:
        rows = select(*executions.columns).where(executions.c.order_id == order_id, ~executions.c.is_busted)
        return await read_page(self.database, rows, request, keyset=_EXECUTIONS_BY_ID, item_of=execution_view_of)

    async def execution(self, execution_id: UUID, *, account_id: str | None) -> ExecutionView | None:
        rows = select(*executions.columns).where(executions.c.id == execution_id)
        if account_id is not None:
            rows = rows.where(executions.c.account_id == account_id)
        return next((execution_view_of(row) for row in await self.database.select(rows)), None)

    async def history(self, order_id: UUID, request: PageRequest[int]) -> Page[RecordedChange]:
        rows = changes().where(order_changes.c.order_id == order_id)
        return await read_page(self.database, rows, request, keyset=_CHANGES_BY_VERSION, item_of=change_of)


def _visible(rows: Select[Any], account_id: str | None) -> Select[Any]:
    return rows if account_id is None else rows.where(orders.c.account_id == account_id)
