"""A complete gateway in memory: the domain's services over the fakes of their ports."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from domain.model.order import Order
from domain.model.reports import Report
from domain.ports.ingest_state import Fence
from domain.services.attempt_recorder import AttemptRecorder
from domain.services.cancel_delivery import CancelDelivery
from domain.services.cancellation import Cancellation
from domain.services.circuit_breaker import CircuitBreaker
from domain.services.order_cache import OrderCache
from domain.services.placement import Placement
from domain.services.reconciliation import Reconciliation
from domain.services.recording import Recorded, Recording
from domain.services.resolving import Resolving
from domain.services.submission import Submission
from domain.services.trading_control import TradingControl
from runtime.adapters import LimitedVenue
from runtime.reconciliation_services import make_reconciliation
from runtime.settings import Settings
from runtime.wiring import (
    make_attempt_recorder,
    make_cancel_delivery,
    make_cancellation,
    make_circuit_breaker,
    make_placement,
    make_recording,
    make_resolving,
    make_submission,
    make_trading_control,
)
from tests.support.examples import ISIN, ORDER_ID, an_instrument, an_order, name_of
from tests.support.fakes.clock import CountingIds, SettableClock
from tests.support.fakes.dead_letters import MemoryDeadLetters
from tests.support.fakes.instrument_catalog import MemoryInstrumentCatalog
from tests.support.fakes.order_row import OrderRow
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.signals import RecordingPublisher, RecordingWakeUps
from tests.support.fakes.stream_positions import MemoryStreamPositions
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.fakes.trading_control import MemoryInstrumentPrices
from tests.support.fakes.venue import ScriptedVenue
from tests.support.memory_wiring import MemoryProcess, MemorySignals, MemoryStores, given_settings

SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Desk:
    """Every use case and every fake, wired by the product's own functions."""

    max_attempts: int = 3
    jitter: float = 1.0
    look_ups_max: int = 10
    pages_max: int = 10
    circuit_failures: int = 1000
    max_age: timedelta | None = None
    cache: OrderCache = field(default_factory=lambda: OrderCache(orders_max=0))
    fence: Fence | None = None
    clock: SettableClock = field(default_factory=SettableClock)
    publisher: RecordingPublisher = field(default_factory=RecordingPublisher)
    wake_ups: RecordingWakeUps = field(default_factory=RecordingWakeUps)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    prices: MemoryInstrumentPrices = field(default_factory=MemoryInstrumentPrices)
    dead_letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    positions: MemoryStreamPositions = field(init=False)
    new_id: CountingIds = field(default_factory=CountingIds)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    orders: MemoryOrderStore = field(init=False)
    venue: ScriptedVenue = field(init=False)
    catalog: MemoryInstrumentCatalog = field(init=False)
    breaker: CircuitBreaker = field(init=False)

    def __post_init__(self) -> None:
        self.positions = MemoryStreamPositions(self.clock)
        self.orders = MemoryOrderStore(self.clock, self.positions)
        self.venue = ScriptedVenue(self.clock)
        self.catalog = MemoryInstrumentCatalog({ISIN: an_instrument()})
        self.breaker = self.new_breaker()

    def new_breaker(self) -> CircuitBreaker:
        """Another worker's breaker over the same store."""
        return make_circuit_breaker(self.process, self.stores)

    @property
    def settings(self) -> Settings:
        """The settings of a worker, with a lease of half a minute."""
        return given_settings(
            placement_max_attempts=self.max_attempts,
            placement_backoff_seconds=1,
            placement_backoff_max_seconds=60,
            placement_timeout_seconds=5,
            placement_settle_seconds=5,
            placement_slots=4,
            placement_max_age_seconds=None if self.max_age is None else self.max_age.total_seconds(),
            placement_circuit_failures=self.circuit_failures,
            placement_circuit_open_seconds=5,
            cancel_retry_seconds=2,
            cancel_confirm_seconds=10,
            reconcile_look_ups_max=self.look_ups_max,
            reconcile_look_ups_seconds=30,
            reconcile_look_up_pause_seconds=10,
            reconcile_look_up_pause_max_seconds=60,
            reconcile_pages_max=self.pages_max,
            reconcile_lost_seconds=60,
            catch_up_pause_seconds=10,
            catch_up_overlap_seconds=10,
            catch_up_first_seconds=3600,
            unresolved_wait_seconds=120,
            fills_missing_alert_seconds=120,
        )

    @property
    def process(self) -> MemoryProcess:
        return MemoryProcess(
            settings=self.settings,
            telemetry=self.telemetry,
            clock=self.clock,
            new_id=self.new_id,
            random=lambda: self.jitter,
        )

    @property
    def stores(self) -> MemoryStores:
        return MemoryStores(
            orders=self.orders,
            positions=self.positions,
            catalog=self.catalog,
            dead_letters=self.dead_letters,
            prices=self.prices,
        )

    @property
    def signals(self) -> MemorySignals:
        return MemorySignals(publisher=self.publisher, wake_ups=self.wake_ups)

    @property
    def recording(self) -> Recording:
        return make_recording(self.process, self.stores, self.signals, fence=self.fence, cache=self.cache)

    @property
    def placement(self) -> Placement:
        return make_placement(self.process, self.stores, self.signals)

    @property
    def submission(self) -> Submission:
        """A worker's service, with the breaker and the slots that tests reach."""
        submission = make_submission(self.process, self.stores, self.signals, self.venue, self.recording)
        return replace(submission, breaker=self.breaker, slots=self.slots)

    @property
    def attempt_recorder(self) -> AttemptRecorder:
        return make_attempt_recorder(self.process, self.signals, self.recording)

    @property
    def cancellation(self) -> Cancellation:
        return make_cancellation(self.stores, self.signals, self.recording)

    @property
    def delivery(self) -> CancelDelivery:
        delivery = make_cancel_delivery(self.process, self.stores, self.signals, self.venue, self.recording)
        return replace(delivery, slots=self.slots)

    @property
    def control(self) -> TradingControl:
        """The operators' side of the desk."""
        return make_trading_control(self.process, self.stores)

    @property
    def resolving(self) -> Resolving:
        return make_resolving(self.process, self.stores, self.venue, self.reconciliation)

    @property
    def reconciliation(self) -> Reconciliation:
        return self.reconciliation_with(self.venue)

    def reconciliation_with(self, venue: LimitedVenue) -> Reconciliation:
        """Return the reconciliation of what is stored here with another venue."""
        return make_reconciliation(self.process, self.stores, venue, self.recording)

    async def store(self, order_id: UUID = ORDER_ID, *, client_order_id: str = "intent-1") -> Order:
        """Store an order of 10."""
        order = an_order(order_id=order_id, client_order_id=client_order_id)
        await self.orders.store(order)
        return order

    async def attempt(self, *, after: timedelta = timedelta(0)) -> int:
        """Advance the time, then make one attempt, if one is due."""
        self.clock.advance(after)
        return await self.submission.submit([ORDER_ID])

    async def report(self, *reports: Report, order_id: UUID = ORDER_ID) -> Recorded:
        """Record reports of the venue."""
        return await self.recording.record({name_of(order_id): reports})

    def row(self, order_id: UUID = ORDER_ID) -> OrderRow:
        """Return the order's row."""
        return self.orders.rows[order_id]

    def order(self, order_id: UUID = ORDER_ID) -> Order:
        """Return the current order."""
        return self.row(order_id).order

    def kinds(self) -> Sequence[str]:
        """Return the kinds of all changes published so far."""
        return [change.kind for change in self.publisher.changes]
