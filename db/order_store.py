"""The OrderStore of the domain, over the statements that insert, write and claim orders."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from db.database import Database
from db.order_claimer import OrderClaimer
from db.order_inserter import OrderInserter, OrderToInsert
from db.order_loader import OrderLoader
from db.order_writer import OrderWriter
from domain.model.changes import RecordedChange
from domain.model.errors import LimitsChangedError, OrderDeniedError
from domain.model.limits import NO_LIMITS, AccountLimits
from domain.model.operator_actions import ActionToStore
from domain.model.order import Order
from domain.ports.ingest_state import Fence
from domain.ports.order_store import (
    IMMEDIATE,
    Claim,
    ExecutionKey,
    FillName,
    LoadedOrder,
    OrderStore,
    OrderStored,
    OrderWrite,
    WriteTicket,
)
from domain.ports.telemetry import Metric, Telemetry
from domain.services.batcher import Batcher

INSERT_BATCH_MAX_ORDERS = 256
INSERT_QUEUE_MAX_ORDERS = 4_096


class PostgresOrderStore(OrderStore):
    """Orders in PostgreSQL. `venue` is the name under which its executions are stored; `max_orders_per_second`
    applies to accounts whose limits set no other. With `requests_only` reports of the venue cannot be written.
    """

    def __init__(
        self,
        database: Database,
        *,
        venue: str,
        telemetry: Telemetry,
        insert_batch_max_orders: int = INSERT_BATCH_MAX_ORDERS,
        insert_queue_max_orders: int = INSERT_QUEUE_MAX_ORDERS,
        max_orders_per_second: int | None = None,
        requests_only: bool = False,
    ) -> None:
        self._inserter = OrderInserter(database, max_orders_per_second)
        self._loader = OrderLoader(database, venue)
        self._writer = OrderWriter(database, venue, requests_only)
        self._claimer = OrderClaimer(database, venue, telemetry)
        self._telemetry = telemetry
        self._waiting = {
            locks_first: Batcher(
                partial(self._insert_batch, locks_first=locks_first),
                batch_max_items=insert_batch_max_orders,
                queue_max_items=insert_queue_max_orders,
            )
            for locks_first in (False, True)
        }

    async def store(self, order: Order, *, limits: AccountLimits = NO_LIMITS) -> OrderStored:
        waiting = self._waiting[self._inserter.locks_first(limits)]
        result = await waiting.submit(OrderToInsert(order=order, limits_set_at=limits.set_at))
        if isinstance(result, OrderStored):
            return result
        raise result

    async def load(self, order_ids: Collection[UUID]) -> Mapping[UUID, LoadedOrder]:
        return await self._loader.load(order_ids)

    async def load_whole(self, order_id: UUID) -> LoadedOrder | None:
        return await self._loader.load_whole(order_id)

    async def load_reported(
        self, venue_client_order_ids: Collection[str], keys: Collection[ExecutionKey]
    ) -> Mapping[str, LoadedOrder]:
        return await self._loader.load_reported(venue_client_order_ids, keys)

    async def write(
        self,
        writes: Sequence[OrderWrite],
        *,
        fence: Fence | None = None,
        ticket: WriteTicket = IMMEDIATE,
        action: ActionToStore | None = None,
    ) -> Sequence[RecordedChange]:
        return await self._writer.write(writes, fence=fence, ticket=ticket, action=action)

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        return await self._claimer.claim(order_ids, lease=lease)

    async def holds_claim(self, claim: Claim, *, within: timedelta) -> bool:
        return await self._claimer.holds_claim(claim, within=within)

    async def claim_due(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[Claim]:
        return await self._claimer.claim_due(limit=limit, overdue_by=overdue_by, lease=lease)

    async def claim_cancels(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[LoadedOrder]:
        return await self._claimer.claim_cancels(order_ids, lease=lease)

    async def claim_due_cancels(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[LoadedOrder]:
        return await self._claimer.claim_due_cancels(limit=limit, overdue_by=overdue_by, lease=lease)

    async def oldest_due(self) -> timedelta | None:
        return await self._claimer.oldest_due()

    async def recorded_fills(self, fills: Collection[FillName]) -> Collection[FillName]:
        return await self._loader.recorded_fills(fills)

    async def venue_client_order_ids(self, venue_order_ids: Collection[str]) -> Mapping[str, str]:
        return await self._claimer.venue_client_order_ids(venue_order_ids)

    async def open_at_venue(self, *, silent_for: timedelta, limit: int) -> Sequence[LoadedOrder]:
        return await self._claimer.open_at_venue(silent_for=silent_for, limit=limit)

    async def _insert_batch(
        self, asked: Sequence[OrderToInsert], *, locks_first: bool
    ) -> Sequence[OrderStored | OrderDeniedError | LimitsChangedError]:
        self._telemetry.observe(Metric.STORE_BATCH_SIZE, len(asked))
        return await self._inserter.insert(asked, locks_first=locks_first)
