"""What `runtime.wiring` needs, in memory: the tests make the services by the product's own functions.

Of settings those count that a test gives; the environment is not read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from domain.ports.clock_and_ids import Clock, NewId
from runtime.settings import Settings
from tests.support.fakes.account_reader import MemoryAccountReader
from tests.support.fakes.audit import MemoryAccountSeals, MemoryOperatorActions
from tests.support.fakes.breaker_store import MemoryBreakerStore
from tests.support.fakes.dead_letters import MemoryDeadLetters
from tests.support.fakes.installation import FixedInstallation
from tests.support.fakes.instrument_catalog import MemoryInstrumentCatalog
from tests.support.fakes.order_reader import MemoryOrderReader
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.resolutions import MemoryResolutions
from tests.support.fakes.signals import RecordingPublisher, RecordingWakeUps
from tests.support.fakes.stream_positions import MemoryStreamPositions
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.fakes.token_revocations import MemoryTokenRevocations
from tests.support.fakes.trading_control import MemoryInstrumentPrices, MemoryLimitBook, MemoryTradingHalts


class _GivenSettings(Settings):
    """Settings that do not read the environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        *_: object,
        **_others: object,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


@cache
def given_settings(**given: Any) -> Settings:
    """Return these settings, the others by default; cached, since a property creates thousands of desks."""
    return _GivenSettings(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryProcess:
    """What services need of a process: the clock is also the steady one."""

    settings: Settings
    telemetry: RecordingTelemetry
    clock: Clock
    new_id: NewId
    random: Callable[[], float] = lambda: 0.5

    @property
    def steady_clock(self) -> Clock:
        return self.clock


@dataclass(slots=True, kw_only=True)
class MemoryStores:
    """Everything that is stored. What belongs to the orders is the order store's."""

    orders: MemoryOrderStore
    positions: MemoryStreamPositions = field(default_factory=MemoryStreamPositions)
    catalog: MemoryInstrumentCatalog = field(default_factory=lambda: MemoryInstrumentCatalog({}))
    dead_letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    prices: MemoryInstrumentPrices = field(default_factory=MemoryInstrumentPrices)
    revocations: MemoryTokenRevocations = field(default_factory=MemoryTokenRevocations)
    installation: FixedInstallation = field(default_factory=FixedInstallation)
    seals: MemoryAccountSeals = field(init=False)

    def __post_init__(self) -> None:
        self.seals = MemoryAccountSeals(self.orders.clock, self.orders.changes)

    @property
    def tape(self) -> MemoryInstrumentPrices:
        return self.prices

    @property
    def reader(self) -> MemoryOrderReader:
        return MemoryOrderReader(self.orders)

    @property
    def accounts(self) -> MemoryAccountReader:
        return MemoryAccountReader(self.orders)

    @property
    def breaker(self) -> MemoryBreakerStore:
        return self.orders.breaker

    @property
    def limit_book(self) -> MemoryLimitBook:
        return self.orders.book

    @property
    def halts(self) -> MemoryTradingHalts:
        return self.orders.halts

    @property
    def actions(self) -> MemoryOperatorActions:
        return self.orders.actions

    @property
    def resolutions(self) -> MemoryResolutions:
        return self.orders.resolutions


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySignals:
    """Signals to other processes, recorded."""

    publisher: RecordingPublisher = field(default_factory=RecordingPublisher)
    wake_ups: RecordingWakeUps = field(default_factory=RecordingWakeUps)
