"""What the domain's services are wired over: a process, and adapters of the domain's ports.

A process that runs has PostgreSQL, Redis and a venue (see `runtime.resources`); the tests have all of it in memory.
"""

from collections.abc import Callable
from typing import Protocol

from domain.ports.audit import AccountSeals, OperatorActions
from domain.ports.breaker_store import BreakerStore
from domain.ports.clock_and_ids import Clock, NewId
from domain.ports.ingest_state import DeadLetters, StreamPositions
from domain.ports.installation import Installation
from domain.ports.notifications import ChangePublisher, WakeUps
from domain.ports.order_store import OrderStore
from domain.ports.rate_limiter import RateLimiter
from domain.ports.readers import AccountReader, InstrumentCatalog, OrderReader
from domain.ports.resolutions import ResolutionRequests, Resolutions
from domain.ports.revocations import TokenRevocations
from domain.ports.telemetry import Telemetry
from domain.ports.trading_control import InstrumentPrices, LimitBook, PriceTape, TradingHalts
from domain.ports.venue import Venue
from domain.ports.venue_clock import VenueClock
from runtime.settings import Settings


class WiredProcess(Protocol):
    """What services need of the process: `steady_clock` never jumps, `random` is at least 0 and below 1."""

    @property
    def settings(self) -> Settings: ...
    @property
    def telemetry(self) -> Telemetry: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def steady_clock(self) -> Clock: ...
    @property
    def new_id(self) -> NewId: ...
    @property
    def random(self) -> Callable[[], float]: ...


class ResolutionStore(ResolutionRequests, Resolutions, Protocol):
    """What operators ask for, and what workers do with it."""


class Stores(Protocol):
    """Everything that is stored."""

    @property
    def orders(self) -> OrderStore: ...
    @property
    def reader(self) -> OrderReader: ...
    @property
    def accounts(self) -> AccountReader: ...
    @property
    def catalog(self) -> InstrumentCatalog: ...
    @property
    def positions(self) -> StreamPositions: ...
    @property
    def dead_letters(self) -> DeadLetters: ...
    @property
    def breaker(self) -> BreakerStore: ...
    @property
    def limit_book(self) -> LimitBook: ...
    @property
    def prices(self) -> InstrumentPrices: ...
    @property
    def tape(self) -> PriceTape: ...
    @property
    def halts(self) -> TradingHalts: ...
    @property
    def actions(self) -> OperatorActions: ...
    @property
    def seals(self) -> AccountSeals: ...
    @property
    def revocations(self) -> TokenRevocations: ...
    @property
    def resolutions(self) -> ResolutionStore: ...
    @property
    def installation(self) -> Installation: ...


class Signals(Protocol):
    """What other processes receive: changes, and wake-ups of workers."""

    @property
    def publisher(self) -> ChangePublisher: ...
    @property
    def wake_ups(self) -> WakeUps: ...


class LimitedVenue(Venue, Protocol):
    """The venue, its rate limit and its clock."""

    @property
    def limiter(self) -> RateLimiter: ...
    @property
    def venue_clock(self) -> VenueClock: ...
