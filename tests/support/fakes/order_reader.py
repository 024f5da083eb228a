"""Reading for people over the rows of the order store in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.model.accounts import VisibleAccounts, is_visible
from domain.model.changes import ExecutionView, OrderSnapshot, RecordedChange, VenueOrderView, venue_orders_of, view
from domain.model.order_query import OrderFilter, OrderKey, OrderSort, Page, PageRequest
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.paging import cut


@dataclass(slots=True)
class MemoryOrderReader:
    """OrderReader."""

    store: MemoryOrderStore

    async def order(self, order_id: UUID, *, account_ids: VisibleAccounts) -> OrderSnapshot | None:
        return (await self.orders_by_id([order_id], account_ids=account_ids)).get(order_id)

    async def orders_by_id(
        self, order_ids: Collection[UUID], *, account_ids: VisibleAccounts
    ) -> Mapping[UUID, OrderSnapshot]:
        self.store.require_database()
        rows = [self.store.rows[order_id] for order_id in order_ids if order_id in self.store.rows]
        return {row.order.id: row.snapshot() for row in rows if is_visible(row.order.account_id, account_ids)}

    async def by_client_order_id(self, client_order_id: str, *, account_id: str) -> OrderSnapshot | None:
        named = [one for one in self._snapshots() if one.terms.client_order_id == client_order_id]
        return next((one for one in named if one.account_id == account_id), None)

    async def page(
        self,
        request: PageRequest[OrderKey],
        *,
        sort: OrderSort,
        filter: OrderFilter,  # noqa: A002 - the port's parameter name
    ) -> Page[OrderSnapshot]:
        def key(order: OrderSnapshot | OrderKey) -> tuple[datetime, UUID]:
            if isinstance(order, OrderKey):
                return (order.at, order.id)
            return (order.updated_at if sort is OrderSort.UPDATED_DESC else order.created_at, order.id)

        descending = sort is not OrderSort.CREATED_ASC
        shown = sorted((one for one in self._snapshots() if _passes(one, filter)), key=key, reverse=descending)
        return cut(shown, request, key=key, descending=descending)

    async def executions(self, order_id: UUID, request: PageRequest[UUID], *, version: int) -> Page[ExecutionView]:
        self.store.require_database()
        row, changes = self.store.rows.get(order_id), self._changes(order_id)
        later = {change.execution.id for change in changes if change.execution and change.order.version > version}
        then = {
            change.execution.id: change.execution
            for change in changes
            if change.order.version <= version and change.execution
        }
        executions = [] if row is None else list(row.executions.values())
        counting = [view(one) for one in executions if one.id not in later and not one.is_busted and one.is_counted]
        amended = [then[one.id] for one in executions if one.id in later and one.id in then and then[one.id].quantity]
        return cut(sorted([*counting, *amended], key=_id), request, key=_id)

    async def venue_orders(self, order_id: UUID) -> Sequence[VenueOrderView]:
        self.store.require_database()
        return venue_orders_of(self.store.rows[order_id].order)

    async def executions_by_id(
        self, execution_ids: Collection[UUID], *, account_ids: VisibleAccounts
    ) -> Mapping[UUID, ExecutionView]:
        self.store.require_database()
        rows = [row for row in self.store.rows.values() if is_visible(row.order.account_id, account_ids)]
        return {one.id: view(one) for row in rows for one in row.executions.values() if one.id in execution_ids}

    async def history(self, order_id: UUID, request: PageRequest[int], *, version: int) -> Page[RecordedChange]:
        self.store.require_database()
        return cut([one for one in self._changes(order_id) if one.order.version <= version], request, key=_version)

    def _changes(self, order_id: UUID) -> list[RecordedChange]:
        return [change for log in self.store.changes.values() for change in log if change.order.id == order_id]

    def _snapshots(self) -> list[OrderSnapshot]:
        self.store.require_database()
        return [row.snapshot() for row in self.store.rows.values()]


def _id(execution: ExecutionView | UUID) -> UUID:
    return execution if isinstance(execution, UUID) else execution.id


def _version(change: RecordedChange | int) -> int:
    return change if isinstance(change, int) else change.order.version


def _passes(order: OrderSnapshot, asked: OrderFilter) -> bool:
    return all(
        (
            is_visible(order.account_id, asked.account_ids),
            asked.statuses is None or order.status in asked.statuses,
            asked.is_final is None or order.status.is_final is asked.is_final,
            asked.isins is None or order.terms.isin in asked.isins,
            asked.side is None or order.terms.side is asked.side,
            asked.created_from is None or order.created_at >= asked.created_from,
            asked.created_before is None or order.created_at < asked.created_before,
            asked.updated_from is None or order.updated_at >= asked.updated_from,
        )
    )
