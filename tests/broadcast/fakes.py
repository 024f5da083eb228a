"""Fakes of our own ports: telemetry that remembers, and a change log in memory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from domain.changes import ChangeKind, ExecutionView, OrderSnapshot, PlacementState, RecordedChange
from domain.errors import HistoryGone, Unavailable
from domain.order import OrderStatus
from domain.ports import Position
from domain.telemetry import Metric
from domain.values import ZERO, OrderType, Side, Terms, TimeInForce

MORNING = datetime(2026, 1, 5, 8, tzinfo=UTC)


class RememberingTelemetry:
    """Keeps counts, gauges and the names of events."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[Metric, tuple[tuple[str, str], ...]]] = Counter()
        self.gauges: dict[Metric, float] = {}
        self.events: list[tuple[str, str, dict[str, object]]] = []

    def counted(self, metric: Metric, **labels: str) -> int:
        """How much was counted, under these labels or, without any, under all."""
        wanted = set(labels.items())
        return sum(amount for (name, given), amount in self.counts.items() if name is metric and wanted <= set(given))

    def count(self, metric: Metric, amount: int = 1, **labels: str) -> None:
        self.counts[metric, tuple(sorted(labels.items()))] += amount

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        pass

    def set(self, metric: Metric, value: float, **_labels: str) -> None:
        self.gauges[metric] = value

    def info(self, event: str, **fields: object) -> None:
        self.events.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.events.append(("warning", event, fields))

    def error(self, event: str, **fields: object) -> None:
        self.events.append(("error", event, fields))


def an_order(number: int = 1, *, account_id: str = "demo") -> OrderSnapshot:
    """A fresh order; `number` makes it another one."""
    return OrderSnapshot(
        id=UUID(int=number),
        account_id=account_id,
        terms=Terms(
            client_order_id=f"order-{number}",
            isin="US0378331005",
            symbol="AAPL",
            side=Side.BUY,
            type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
            quantity=Decimal(1000),
            limit_price=None,
        ),
        status=OrderStatus.PENDING,
        filled_quantity=ZERO,
        notional=ZERO,
        reason=None,
        venue_order_id=None,
        placement=PlacementState(),
        version=0,
        created_at=MORNING,
        updated_at=MORNING,
    )


class MemoryChangeLog:
    """The port ChangeLog over lists, with switches to prune it and to take it down."""

    def __init__(self) -> None:
        self.changes: dict[str, list[RecordedChange]] = {}
        self.orders: dict[UUID, OrderSnapshot] = {}
        self.is_down = False
        self.reads = 0
        self.comparisons = 0
        self._pruned: dict[str, int] = {}

    def append(self, order: OrderSnapshot, *, status: OrderStatus = OrderStatus.PARTIALLY_FILLED) -> RecordedChange:
        """Commit the next change of the order."""
        changes = self.changes.setdefault(order.account_id, [])
        known = self.orders.get(order.id, order)
        now = MORNING + timedelta(milliseconds=len(changes))
        after = replace(known, version=known.version + 1, status=status, updated_at=now)
        change = RecordedChange(
            sequence=len(changes) + 1,
            kind=ChangeKind.RECEIVED if after.version == 1 else ChangeKind.FILL,
            at=now,
            order=after,
            execution=None
            if after.version == 1
            else ExecutionView(
                id=UUID(int=len(changes)), quantity=Decimal(1), price=Decimal("1.5"), executed_at=now, received_at=now
            ),
        )
        self.orders[order.id] = after
        changes.append(change)
        return change

    def prune(self, account_id: str, *, through: int) -> None:
        """Forget the account's changes up to this sequence."""
        self._pruned[account_id] = through

    async def changes_after(
        self, account_id: str, sequence: int, *, limit: int, order_id: UUID | None = None
    ) -> Sequence[RecordedChange]:
        async with self._reading():
            if sequence < self._pruned.get(account_id, 0):
                raise HistoryGone
            newer = self.changes.get(account_id, [])[sequence:]
            return [change for change in newer if order_id in {None, change.order.id}][:limit]

    async def order_changes_after(self, order_id: UUID, version: int, *, limit: int) -> Sequence[RecordedChange]:
        async with self._reading():
            account_id = self.orders[order_id].account_id
            changes = [change for change in self.changes[account_id] if change.order.id == order_id]
            newer = [change for change in changes if change.order.version > version]
            if newer and newer[0].sequence <= self._pruned.get(account_id, 0):
                raise HistoryGone
        return newer[:limit]

    async def position(self, account_id: str) -> int:
        async with self._reading():
            return len(self.changes.get(account_id, []))

    async def positions(self, account_ids: Collection[str]) -> Mapping[str, int]:
        async with self._reading():
            self.comparisons += 1
            return {account_id: len(self.changes.get(account_id, [])) for account_id in account_ids}

    async def order_position(self, order_id: UUID, *, account_id: str | None) -> Position | None:
        found = None
        async with self._reading():
            order = self.orders.get(order_id)
            if order is not None and account_id in {None, order.account_id}:
                found = Position(order=order, sequence=len(self.changes[order.account_id]))
        return found

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """A question that is on its way for a while, and so is its answer."""
        self.reads += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise Unavailable
        yield
        for _ in range(3):
            await asyncio.sleep(0)
