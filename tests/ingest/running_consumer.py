"""A running consumer on a stream that a test feeds, and helper functions for its tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from domain.model.errors import VenueUnreachableError
from domain.model.executions import Trade
from domain.model.order import Order, OrderStatus
from domain.model.reports import OrderFilled, Report
from domain.ports.venue import StreamItem, VenueReport
from ingest.batch_recorder import BatchRecorder
from ingest.consumer import Consumer
from runtime.ingest_services import make_consumer
from tests.support.examples import new_order
from tests.support.fakes.clock import MIDNIGHT
from tests.support.fakes.dead_letters import MemoryDeadLetters
from tests.support.memory_gateway import Desk
from tests.support.memory_wiring import MemoryStores, given_settings
from tests.support.processes import eventually

SHORTLY = timedelta(milliseconds=1)
WAITING_REPORTS_MAX = 2


@dataclass(slots=True)
class ScriptedStream:
    """A stream whose sessions a test feeds; each connect opens the next one."""

    live: asyncio.Queue[StreamItem | None] = field(default_factory=asyncio.Queue)
    sessions: int = 0
    refused_sessions: int = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncIterator[Sequence[StreamItem]]]:
        if self.refused_sessions:
            self.refused_sessions -= 1
            raise VenueUnreachableError("the venue refuses a second connection")
        self.sessions += 1
        yield self._reports()

    async def _reports(self) -> AsyncIterator[Sequence[StreamItem]]:
        while True:
            item = await self.live.get()
            if item is None:
                return
            yield [item]


@dataclass(slots=True)
class Following:
    """A consumer at work, and what it works with."""

    desk: Desk
    stream: ScriptedStream
    letters: MemoryDeadLetters
    recorder: BatchRecorder
    consumer: Consumer
    running: asyncio.Task[None]

    @property
    def waiting(self) -> int:
        return len(self.recorder.unmatched)

    def status(self, order: Order) -> OrderStatus:
        return self.desk.orders.rows[order.id].order.status


@asynccontextmanager
async def following(
    desk: Desk,
    *,
    buffer_items_max: int = 1000,
    batch_items_max: int = 500,
    batch_within: timedelta = timedelta(milliseconds=5),
    silence: timedelta = timedelta(seconds=60),
    wait_seconds: float = 60.0,
    unresolved_seconds: float = 60.0,
    refused_sessions: int = 0,
    retry: timedelta = SHORTLY,
    connect_catch_up: timedelta = timedelta(seconds=60),
) -> AsyncIterator[Following]:
    stream, letters = ScriptedStream(refused_sessions=refused_sessions), MemoryDeadLetters()
    settings = given_settings(
        ingest_buffer_reports_max=buffer_items_max,
        ingest_batch_reports_max=batch_items_max,
        ingest_batch_within_ms=batch_within / timedelta(milliseconds=1),
        ingest_retry_seconds=retry.total_seconds(),
        stream_reconnect_seconds=SHORTLY.total_seconds(),
        stream_reconnect_max_seconds=10 * SHORTLY.total_seconds(),
        stream_silence_seconds=silence.total_seconds(),
        unknown_order_reports_max=WAITING_REPORTS_MAX,
        unknown_order_wait_seconds=wait_seconds,
        unknown_order_retry_seconds=SHORTLY.total_seconds(),
        unresolved_reports_max=WAITING_REPORTS_MAX,
        unresolved_wait_seconds=unresolved_seconds,
        catch_up_pause_seconds=SHORTLY.total_seconds(),
        catch_up_unheard_seconds=SHORTLY.total_seconds(),
    )
    stores = MemoryStores(orders=desk.orders, dead_letters=letters)
    consumer = make_consumer(replace(desk.process, settings=settings), stores, stream, desk.reconciliation)
    consumer = replace(consumer, connect_catch_up=connect_catch_up)
    running = asyncio.create_task(consumer.run())
    try:
        yield Following(
            desk=desk, stream=stream, letters=letters, recorder=consumer.recorder, consumer=consumer, running=running
        )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def placed(desk: Desk, *, client_order_id: str = "intent-1") -> Order:
    order = new_order(client_order_id=client_order_id)
    await desk.orders.store(order)
    await desk.submission.submit([order.id])
    return order


def report_of(order: Order, *reports: Report) -> VenueReport:
    return VenueReport(
        venue_client_order_id=order.venue_client_order_id, venue_order_id="V1", reports=reports, at=MIDNIGHT
    )


def fill(number: int, *, quantity: int, cumulative: int) -> OrderFilled:
    return OrderFilled(
        venue_execution_id=f"E{number}",
        trade=Trade(quantity=Decimal(quantity), price=Decimal("190.25")),
        cumulative_quantity=Decimal(cumulative),
        venue_order_id="V1",
        at=MIDNIGHT,
    )


async def soon(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], what: str) -> None:
    await eventually(condition, within_seconds=5, what=what)
