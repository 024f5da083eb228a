"""Everything behind the API: the domain's services over their ports in memory."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.model.accounts import AccountRule
from domain.model.changes import Change, ChangeKind
from domain.model.reports import Report
from domain.ports.order_store import OrderWrite
from domain.services.account_check import AccountCheck
from domain.services.cancellation import Cancellation
from domain.services.placement import Placement
from domain.services.recording import Recording
from domain.services.resolution import ResolutionDesk
from domain.services.token_revocation import TokenRevocation
from domain.services.trading_control import TradingControl
from domain.services.venue_answers import AnswerKind, VenueAnswer, write_answer
from graph.context import Services
from graph.settings import GraphSettings
from tests.support.api_instruments import APPLE, HALTED, SAP
from tests.support.fakes.account_reader import MemoryAccountReader
from tests.support.fakes.audit import MemoryAccountSeals
from tests.support.fakes.clock import CountingIds, SettableClock
from tests.support.fakes.installation import FixedInstallation
from tests.support.fakes.instrument_catalog import MemoryInstrumentCatalog
from tests.support.fakes.live_feed import MemoryLiveFeed
from tests.support.fakes.order_reader import MemoryOrderReader
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.signals import RecordingPublisher, RecordingWakeUps
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.fakes.token_revocations import MemoryTokenRevocations
from tests.support.fakes.trading_control import MemoryInstrumentPrices

START = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
FIRST_ID = 0x0199 << 112
INSTRUMENTS = {instrument.isin: instrument for instrument in (APPLE, SAP, HALTED)}


@dataclass(kw_only=True)
class World:
    """Orders, instruments and the services that use them. The clock advances a millisecond with each read."""

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
    seals: MemoryAccountSeals = field(init=False)
    feed: MemoryLiveFeed = field(init=False)

    def __post_init__(self) -> None:
        self.orders = MemoryOrderStore(self.clock)
        if self.has_worker:
            unanswered = VenueAnswer(asked_at=START, outcome=AnswerKind.NO_ANSWER, error="It is away.")
            self.orders.resolutions.answered_at_once = write_answer(unanswered)
        self.seals = MemoryAccountSeals(self.clock, self.orders.changes)
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
        self.seals.sealed.clear()
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

    def services(self) -> Services:
        """Return the services as the runtime would build them."""
        reader, recording = MemoryOrderReader(self.orders), self._recording()
        accounts = MemoryAccountReader(self.orders)
        account_check = AccountCheck(rule=self.account_rule, reader=accounts)
        return Services(
            placement=Placement(
                orders=self.orders,
                reader=reader,
                catalog=self.catalog,
                limit_book=self.orders.book,
                accounts=account_check,
                prices=self.prices,
                installation=FixedInstallation(),
                publisher=recording.publisher,
                wake_ups=recording.wake_ups,
                telemetry=self.telemetry,
                clock=self.clock,
                new_id=self.new_id,
            ),
            cancellation=Cancellation(
                orders=self.orders, reader=reader, recording=recording, wake_ups=recording.wake_ups
            ),
            control=TradingControl(
                halts=self.orders.halts,
                book=self.orders.book,
                prices=self.prices,
                accounts=account_check,
                telemetry=self.telemetry,
                clock=self.clock,
                new_id=self.new_id,
            ),
            actions=self.orders.actions,
            seals=self.seals,
            resolution=ResolutionDesk(
                requests=self.orders.resolutions,
                clock=self.clock,
                new_id=self.new_id,
                done_within=timedelta(seconds=self.resolved_within_seconds),
            ),
            revocation=TokenRevocation(
                store=self.revocations,
                telemetry=self.telemetry,
                clock=self.clock,
                new_id=self.new_id,
                lifetime_max=timedelta(days=1),
            ),
            reader=reader,
            accounts=accounts,
            catalog=self.catalog,
            feed=self.feed,
            telemetry=self.telemetry,
            clock=lambda: datetime.now(UTC),
            settings=self.settings,
        )

    def _recording(self) -> Recording:
        return Recording(
            orders=self.orders,
            publisher=RecordingPublisher(),
            wake_ups=RecordingWakeUps(),
            telemetry=self.telemetry,
            clock=self.clock,
            new_id=self.new_id,
        )
