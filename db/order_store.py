"""The order store: one face for accepting, recording and claiming, as the domain asks for it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from db.accepting import Accepting
from db.claiming import Claiming
from db.database import Database
from db.group_commit import GroupCommit
from db.recording import Recording
from domain.changes import RecordedChange
from domain.order import Order
from domain.ports.following import Fence
from domain.ports.order_store import Claim, ExecutionKey, LoadedOrder, OrderStore, OrderWrite, Stored
from domain.telemetry import Metric, Telemetry

ACCEPT_BATCH_MAX_ORDERS = 256
ACCEPT_QUEUE_MAX_ORDERS = 4_096


class PostgresOrderStore(OrderStore):
    """Orders in PostgreSQL. `venue` is the name under which its executions are stored."""

    def __init__(
        self,
        database: Database,
        *,
        venue: str,
        telemetry: Telemetry,
        accept_batch_max_orders: int = ACCEPT_BATCH_MAX_ORDERS,
        accept_queue_max_orders: int = ACCEPT_QUEUE_MAX_ORDERS,
    ) -> None:
        self._accepting = Accepting(database)
        self._recording = Recording(database, venue)
        self._claiming = Claiming(database, venue)
        self._telemetry = telemetry
        self._waiting = GroupCommit(
            self._accept_batch, batch_max_items=accept_batch_max_orders, queue_max_items=accept_queue_max_orders
        )

    async def accept(self, order: Order) -> Stored:
        return await self._waiting.submit(order)

    async def load(self, order_ids: Collection[UUID], keys: Collection[ExecutionKey]) -> Mapping[UUID, LoadedOrder]:
        return await self._recording.load(order_ids, keys)

    async def write(self, writes: Sequence[OrderWrite], *, fence: Fence | None = None) -> Sequence[RecordedChange]:
        return await self._recording.write(writes, fence=fence)

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        return await self._claiming.claim(order_ids, lease=lease)

    async def claim_due(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[Claim]:
        return await self._claiming.claim_due(limit=limit, overdue_by=overdue_by, lease=lease)

    async def claim_cancels(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[LoadedOrder]:
        return await self._claiming.claim_cancels(order_ids, lease=lease)

    async def claim_due_cancels(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[LoadedOrder]:
        return await self._claiming.claim_due_cancels(limit=limit, overdue_by=overdue_by, lease=lease)

    async def oldest_due(self) -> timedelta | None:
        return await self._claiming.oldest_due()

    async def ids_by_venue_order_id(self, venue_order_ids: Collection[str]) -> Mapping[str, UUID]:
        return await self._claiming.ids_by_venue_order_id(venue_order_ids)

    async def open_at_venue(self, *, silent_for: timedelta, limit: int) -> Sequence[LoadedOrder]:
        return await self._claiming.open_at_venue(silent_for=silent_for, limit=limit)

    async def _accept_batch(self, orders: Sequence[Order]) -> Sequence[Stored]:
        self._telemetry.observe(Metric.ACCEPT_BATCH_SIZE, len(orders))
        return await self._accepting.accept(orders)
