"""Orders in memory: their changes follow the domain's own rules."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from domain.changes import (
    Change,
    ChangeKind,
    ExecutionView,
    OrderSnapshot,
    PlacementState,
    RecordedChange,
    snapshot,
    view,
)
from domain.errors import NotCancelable, OrderNotFound
from domain.evidence import apply_reports
from domain.executions import Execution
from domain.order import Order
from domain.ports import Stored
from domain.reading import OrderFilter, OrderKey, OrderSort, Page, PageRequest
from domain.reports import CancelAsked, Report
from tests.graph.paging import cut, matches

START = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


class MemoryOrders:
    """Orders, their changes and their readers. `failure` is raised by every read and write."""

    def __init__(self) -> None:
        self.changed = asyncio.Condition()
        self.clear()

    def clear(self) -> None:
        """Start anew."""
        self.orders: dict[UUID, Order] = {}
        self.changes: dict[str, list[RecordedChange]] = defaultdict(list)
        self.executions_of: dict[UUID, dict[str, Execution]] = defaultdict(dict)
        self.failure: Exception | None = None
        self._numbers = count(1)

    def now(self) -> datetime:
        """A clock that moves a millisecond with each look."""
        return START + timedelta(milliseconds=next(self._numbers))

    def new_id(self) -> UUID:
        """Ids in ascending order."""
        return UUID(int=(0x0199 << 112) + next(self._numbers))

    async def accept(self, order: Order) -> Stored:
        self._fail()
        for known in self.orders.values():
            if (known.account_id, known.terms.client_order_id) == (order.account_id, order.terms.client_order_id):
                return Stored(order=self._shown(known), change=None)
        (recorded,) = await self._record(order, [Change(kind=ChangeKind.RECEIVED, order=order)])
        return Stored(order=recorded.order, change=recorded)

    async def report(self, order_id: UUID, *reports: Report) -> None:
        """Let the venue's evidence arrive."""
        applied = apply_reports(
            self.orders[order_id],
            reports,
            known=self.executions_of[order_id].values(),
            now=self.now(),
            new_id=self.new_id,
        )
        for execution in applied.executions:
            self.executions_of[order_id][execution.venue_execution_id] = execution
        await self._record(applied.order, applied.changes)

    async def flood(self, order_id: UUID, *, changes: int) -> None:
        """Record the order's last change that many times more."""
        order = self.orders[order_id]
        await self._record(order, [Change(kind=ChangeKind.CORRECTED, order=order)] * changes)

    async def request(self, order_id: UUID, *, account_id: str | None) -> OrderSnapshot:
        """What Cancellation promises."""
        self._fail()
        order = self._visible(order_id, account_id)
        if order is None:
            raise OrderNotFound
        if order.status.is_final:
            raise NotCancelable(order)
        await self.report(order_id, CancelAsked(at=self.now()))
        return self._shown(self.orders[order_id])

    async def order(self, order_id: UUID, *, account_id: str | None) -> OrderSnapshot | None:
        self._fail()
        return self._visible(order_id, account_id)

    async def orders_by_id(
        self, order_ids: Collection[UUID], *, account_id: str | None
    ) -> Mapping[UUID, OrderSnapshot]:
        self._fail()
        found = {order_id: self._visible(order_id, account_id) for order_id in order_ids}
        return {order_id: order for order_id, order in found.items() if order is not None}

    async def by_client_order_id(self, client_order_id: str, *, account_id: str) -> OrderSnapshot | None:
        self._fail()
        orders = (self._shown(order) for order in self.orders.values() if order.account_id == account_id)
        return next((order for order in orders if order.terms.client_order_id == client_order_id), None)

    async def page(
        self,
        request: PageRequest[OrderKey],
        *,
        sort: OrderSort,
        filter: OrderFilter,  # noqa: A002 - the port's word
    ) -> Page[OrderSnapshot]:
        self._fail()

        def key(order: OrderSnapshot) -> tuple[datetime, UUID]:
            return (order.updated_at if sort is OrderSort.UPDATED_DESC else order.created_at, order.id)

        shown = [order for order in map(self._shown, self.orders.values()) if matches(order, filter)]
        rows = sorted(shown, key=key, reverse=sort is not OrderSort.CREATED_ASC)
        return cut(rows, request, [OrderKey(at=key(row)[0], id=key(row)[1]) for row in rows])

    async def executions(self, order_id: UUID, request: PageRequest[UUID]) -> Page[ExecutionView]:
        self._fail()
        rows = [view(execution) for execution in self.executions_of[order_id].values() if not execution.is_busted]
        return cut(rows, request, [row.id for row in rows])

    async def execution(self, execution_id: UUID, *, account_id: str | None) -> ExecutionView | None:
        self._fail()
        for order_id, executions in self.executions_of.items():
            for execution in executions.values():
                if execution.id == execution_id and self._visible(order_id, account_id) is not None:
                    return view(execution)
        return None

    async def history(self, order_id: UUID, request: PageRequest[int]) -> Page[RecordedChange]:
        self._fail()
        rows = self.changes_of(order_id)
        return cut(rows, request, [row.order.version for row in rows])

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _shown(self, order: Order) -> OrderSnapshot:
        return snapshot(order, placement=PlacementState())

    def _visible(self, order_id: UUID, account_id: str | None) -> OrderSnapshot | None:
        order = self.orders.get(order_id)
        return None if order is None or account_id not in {None, order.account_id} else self._shown(order)

    def changes_of(self, order_id: UUID) -> list[RecordedChange]:
        """The order's changes, oldest first."""
        account = self.orders[order_id].account_id
        return [change for change in self.changes[account] if change.order.id == order_id]

    async def _record(self, order: Order, changes: Sequence[Change]) -> list[RecordedChange]:
        self.orders[order.id] = order
        log = self.changes[order.account_id]
        recorded = [
            RecordedChange(
                sequence=len(log) + offset,
                kind=change.kind,
                at=change.order.updated_at,
                order=self._shown(change.order),
                execution=None if change.execution is None else view(change.execution),
            )
            for offset, change in enumerate(changes, start=1)
        ]
        log += recorded
        async with self.changed:
            self.changed.notify_all()
        return recorded
