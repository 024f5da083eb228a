"""A complete gateway in memory: the domain's services over the fakes of their ports."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from domain.model.accounts import AccountRule
from domain.model.order import Order
from domain.model.reports import Report
from domain.ports.ingest_state import Fence
from domain.ports.venue import Venue
from domain.services.account_check import AccountCheck
from domain.services.attempt_policy import AttemptPolicy, SubmissionPolicy
from domain.services.attempt_recorder import AttemptRecorder, FinishedAttempt
from domain.services.batcher import Batcher
from domain.services.cancellation import CancelDelivery, Cancellation, CancelPolicy
from domain.services.catch_up import CatchUp
from domain.services.circuit_breaker import BreakerPolicy, CircuitBreaker
from domain.services.claim_budget import ClaimBudget
from domain.services.dead_letter_keeper import DeadLetterKeeper
from domain.services.fill_repair import FillRepair
from domain.services.halt_cache import HaltCache
from domain.services.look_up_schedule import LookUpPolicy
from domain.services.lost_orders import LostOrders
from domain.services.open_orders import OpenOrders
from domain.services.order_cache import OrderCache
from domain.services.order_owners import OrderOwners
from domain.services.placement import Placement
from domain.services.reconciliation import Reconciliation, ReconciliationPolicy
from domain.services.recording import Recorded, Recording
from domain.services.submission import Submission
from tests.support.examples import ISIN, ORDER_ID, an_instrument, an_order, name_of
from tests.support.fakes.account_reader import MemoryAccountReader
from tests.support.fakes.clock import CountingIds, SettableClock
from tests.support.fakes.dead_letters import MemoryDeadLetters
from tests.support.fakes.installation import FixedInstallation
from tests.support.fakes.instrument_catalog import MemoryInstrumentCatalog
from tests.support.fakes.order_reader import MemoryOrderReader
from tests.support.fakes.order_row import OrderRow
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.signals import RecordingPublisher, RecordingWakeUps
from tests.support.fakes.stream_positions import MemoryStreamPositions
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.fakes.trading_control import MemoryInstrumentPrices
from tests.support.fakes.venue import ScriptedVenue

SECOND = timedelta(seconds=1)


def record_together(attempt_recorder: AttemptRecorder) -> Callable[[FinishedAttempt], Awaitable[None]]:
    """Return a function that records finished attempts in batches, as a worker does."""
    return Batcher(attempt_recorder.record, batch_max_items=100, queue_max_items=1_000).submit


@dataclass(slots=True)
class Desk:
    """Every use case and every fake, wired as the worker wires them."""

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
        self.breaker = self.new_breaker()
        self.venue = ScriptedVenue(self.clock)
        self.catalog = MemoryInstrumentCatalog({ISIN: an_instrument()})

    def new_breaker(self) -> CircuitBreaker:
        """Another worker's breaker over the same store."""
        policy = BreakerPolicy(failures=self.circuit_failures, open_for=5 * SECOND)
        return CircuitBreaker(self.orders.breaker, policy=policy, telemetry=self.telemetry)

    @property
    def recording(self) -> Recording:
        return Recording(
            orders=self.orders,
            publisher=self.publisher,
            wake_ups=self.wake_ups,
            telemetry=self.telemetry,
            clock=self.clock,
            new_id=self.new_id,
            fence=self.fence,
            prices=self.prices,
            cache=self.cache,
        )

    @property
    def account_check(self) -> AccountCheck:
        return AccountCheck(rule=AccountRule(), reader=MemoryAccountReader(self.orders))

    @property
    def placement(self) -> Placement:
        return Placement(
            orders=self.orders,
            reader=MemoryOrderReader(self.orders),
            catalog=self.catalog,
            limit_book=self.orders.book,
            accounts=self.account_check,
            prices=self.prices,
            installation=FixedInstallation(),
            publisher=self.publisher,
            wake_ups=self.wake_ups,
            telemetry=self.telemetry,
            clock=self.clock,
            new_id=self.new_id,
        )

    @property
    def submission(self) -> Submission:
        policy = SubmissionPolicy(
            max_attempts=self.max_attempts,
            backoff=SECOND,
            backoff_max=60 * SECOND,
            settle=5 * SECOND,
            lease=30 * SECOND,
            max_age=self.max_age,
        )
        return Submission(
            orders=self.orders,
            venue=self.venue,
            breaker=self.breaker,
            telemetry=self.telemetry,
            attempt_policy=AttemptPolicy(policy=policy, telemetry=self.telemetry, random=lambda: self.jitter),
            record_attempt=record_together(self.attempt_recorder),
            slots=self.slots,
            claim_budget=ClaimBudget(orders_max=4),
            halt_cache=HaltCache(self.orders.halts),
        )

    @property
    def attempt_recorder(self) -> AttemptRecorder:
        return AttemptRecorder(
            orders=self.orders,
            recording=self.recording,
            wake_ups=self.wake_ups,
            telemetry=self.telemetry,
            max_attempts=self.max_attempts,
        )

    @property
    def cancellation(self) -> Cancellation:
        return Cancellation(
            orders=self.orders,
            reader=MemoryOrderReader(self.orders),
            recording=self.recording,
            wake_ups=self.wake_ups,
        )

    @property
    def delivery(self) -> CancelDelivery:
        return CancelDelivery(
            orders=self.orders,
            venue=self.venue,
            recording=self.recording,
            wake_ups=self.wake_ups,
            telemetry=self.telemetry,
            policy=CancelPolicy(
                retry=2 * SECOND, confirm_within=10 * SECOND, pause_max=300 * SECOND, lease=30 * SECOND
            ),
            slots=self.slots,
        )

    @property
    def reconciliation(self) -> Reconciliation:
        return self.reconciliation_with(self.venue)

    def reconciliation_with(self, venue: Venue) -> Reconciliation:
        """Return the reconciliation of what is stored here with another venue."""
        overlap = 10 * SECOND
        look_ups = LookUpPolicy(
            per_run_max=self.look_ups_max, run_within=30 * SECOND, first_pause=10 * SECOND, pause_max=60 * SECOND
        )
        fills = CatchUp(
            venue=venue,
            orders=self.orders,
            recording=self.recording,
            owners=OrderOwners(
                venue=venue, orders=self.orders, telemetry=self.telemetry, clock=self.clock, policy=look_ups
            ),
            dead_letters=DeadLetterKeeper(source="catch_up", dead_letters=self.dead_letters, telemetry=self.telemetry),
            telemetry=self.telemetry,
            clock=self.clock,
            pending_max=120 * SECOND,
        )
        repair = FillRepair(
            venue=venue,
            orders=self.orders,
            recording=self.recording,
            fills=fills,
            telemetry=self.telemetry,
            clock=self.clock,
            overlap=overlap,
            policy=look_ups,
            alert_after=120 * SECOND,
        )
        open_orders = OpenOrders(
            venue=venue,
            orders=self.orders,
            recording=self.recording,
            fills=fills,
            telemetry=self.telemetry,
            clock=self.clock,
            overlap=overlap,
            pages_max=self.pages_max,
            look_ups=look_ups,
            lost=LostOrders(telemetry=self.telemetry, clock=self.clock, lost_after=60 * SECOND),
        )
        return Reconciliation(
            venue=venue,
            orders=self.orders,
            positions=self.positions,
            recording=self.recording,
            fills=fills,
            open_orders=open_orders,
            repair=repair,
            telemetry=self.telemetry,
            clock=self.clock,
            policy=ReconciliationPolicy(overlap=overlap, first_look_back=3600 * SECOND),
        )

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
