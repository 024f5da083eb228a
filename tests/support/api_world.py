"""Everything behind the API: the domain's services, made by the product's own functions, over their ports in memory."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.model.accounts import AccountRule
from domain.model.changes import Change, ChangeKind
from domain.model.reports import Report
from domain.ports.order_store import OrderWrite
from domain.services.recording import Recording
from domain.services.venue_answers import AnswerKind, VenueAnswer, write_answer
from graph.context import Services
from graph.settings import GraphSettings
from runtime.api_services import make_services
from runtime.wiring import make_recording
from tests.support.api_instruments import APPLE, HALTED, SAP
from tests.support.fakes.clock import CountingIds, SettableClock
from tests.support.fakes.instrument_catalog import MemoryInstrumentCatalog
from tests.support.fakes.live_feed import MemoryLiveFeed
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.fakes.token_revocations import MemoryTokenRevocations
from tests.support.fakes.trading_control import MemoryInstrumentPrices
from tests.support.memory_wiring import MemoryProcess, MemorySignals, MemoryStores, given_settings

START = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
FIRST_ID = 0x0199 << 112
INSTRUMENTS = {instrument.isin: instrument for instrument in (APPLE, SAP, HALTED)}


@dataclass(kw_only=True)
class World:
    """Orders, instruments and the services that work with them. The clock moves a millisecond with each look."""

    settings: GraphSettings = field(default_factory=GraphSettings)
    account_rule: AccountRule = field(default_factory=AccountRule)
    account_claim: str = "sub"
    clock: SettableClock = field(default_factory=lambda: SettableClock(START, step=timedelta(milliseconds=1)))
    new_id: CountingIds = field(default_factory=lambda: CountingIds(FIRST_ID))
    catalog: MemoryInstrumentCatalog = field(default_factory=lambda: MemoryInstrumentCatalog(dict(INSTRUMENTS)))
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    prices: MemoryInstrumentPrices = field(default_factory=MemoryInstrumentPrices)
    revocations: MemoryTokenRevocations = field(default_factory=MemoryTokenRevocations)
    resolved_within_seconds: float = 0.2
    has_worker: bool = False
    """Whether one does at once what operators ask for: it changes nothing, and the venue does not answer."""
    orders: MemoryOrderStore = field(init=False)
    stores: MemoryStores = field(init=False)
    feed: MemoryLiveFeed = field(init=False)

    def __post_init__(self) -> None:
        self.orders = MemoryOrderStore(self.clock)
        if self.has_worker:
            unanswered = VenueAnswer(asked_at=START, outcome=AnswerKind.NO_ANSWER, error="It is away.")
            self.orders.resolutions.answered_at_once = write_answer(unanswered)
        self.stores = MemoryStores(
            orders=self.orders, catalog=self.catalog, prices=self.prices, revocations=self.revocations
        )
        self.feed = MemoryLiveFeed(self.orders)

    def clear(self) -> None:
        """Reset all state, while the server keeps running."""
        self.clock.now, self.new_id.given = START, FIRST_ID
        self.orders.rows.clear()
        self.orders.changes.clear()
        self.orders.failure = self.feed.failure = None
        self.orders.book.stored.clear()
        self.orders.book.cached.clear()
        self.orders.halts.halts.clear()
        self.orders.actions.actions.clear()
        self.orders.resolutions.asked.clear()
        self.orders.resolutions.stored.clear()
        self.stores.seals.sealed.clear()
        self.prices.prices.clear()
        self.feed.kept_after = 0
        self.revocations.stored.clear()
        self.revocations.is_away = False
        self.catalog.instruments = dict(INSTRUMENTS)
        self.catalog.batches.clear()
        self.telemetry.clear()

    async def report(self, order_id: UUID, *reports: Report) -> None:
        """Apply reports of the venue."""
        name = self.orders.rows[order_id].order.venue_client_order_id
        await self._recording().record({name: reports})

    async def flood(self, order_id: UUID, *, changes: int) -> None:
        """Record the order's last change that number of times."""
        order = self.orders.rows[order_id].order
        repeated = [Change(kind=ChangeKind.CORRECTED, order=order)] * changes
        await self.orders.write([OrderWrite(order=order, read_version=order.version, changes=repeated)])

    @property
    def process(self) -> MemoryProcess:
        given = given_settings(account_pattern=self.account_rule.pattern, token_max_lifetime_seconds=86_400)
        return MemoryProcess(settings=given, telemetry=self.telemetry, clock=self.clock, new_id=self.new_id)

    def services(self) -> Services:
        """Return the services as the runtime builds them. Tokens are checked by the real time."""
        services = make_services(self.process, self.stores, MemorySignals(), feed=self.feed, settings=self.settings)
        done_within = timedelta(seconds=self.resolved_within_seconds)
        return replace(
            services,
            clock=lambda: datetime.now(UTC),
            resolution=replace(services.resolution, done_within=done_within),
        )

    def _recording(self) -> Recording:
        return make_recording(self.process, self.stores, MemorySignals())
