"""The adapters that keep orders, each with what reads the same orders."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from db.account_limits import PostgresLimitBook
from db.account_reader import PostgresAccountReader
from db.account_seals import PostgresAccountSeals
from db.breaker_store import PostgresBreakerStore
from db.change_log import PostgresChangeLog
from db.database import Database
from db.instrument_catalog import PostgresInstrumentCatalog
from db.instrument_prices import PostgresInstrumentPrices
from db.operator_actions import PostgresOperatorActions
from db.order_reader import PostgresOrderReader
from db.rate_budget_store import PostgresRateBudgetStore
from db.resolutions import PostgresResolutions
from db.stream_positions import PostgresLeadershipLease, PostgresStreamPositions
from db.token_revocations import PostgresTokenRevocations
from db.trading_halts import PostgresTradingHalts
from domain.ports.audit import AccountSeals, OperatorActions
from domain.ports.breaker_store import BreakerStore
from domain.ports.ingest_state import LeadershipLease, StreamPositions
from domain.ports.order_store import OrderStore
from domain.ports.rate_limiter import RateBudgetStore
from domain.ports.readers import AccountReader, ChangeLog, InstrumentCatalog, OrderReader
from domain.ports.revocations import TokenRevocations
from domain.ports.trading_control import InstrumentPrices, LimitBook, TradingHalts
from tests.support.examples import now
from tests.support.fakes.account_reader import MemoryAccountReader
from tests.support.fakes.audit import MemoryAccountSeals
from tests.support.fakes.change_log import MemoryChangeLog
from tests.support.fakes.instrument_catalog import MemoryInstrumentCatalog
from tests.support.fakes.order_reader import MemoryOrderReader
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.rate_budget_store import MemoryRateBudgetStore
from tests.support.fakes.resolutions import MemoryResolutions
from tests.support.fakes.stream_positions import MemoryStreamPositions
from tests.support.fakes.token_revocations import MemoryTokenRevocations
from tests.support.fakes.trading_control import MemoryInstrumentPrices
from tests.support.postgres_stores import VENUE, make_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """Adapters over the same orders. `forget` deletes the changes of an account up to a sequence; `other_prices`
    are another process's prices.
    """

    orders: OrderStore
    reader: OrderReader
    accounts: AccountReader
    log: ChangeLog
    catalog: InstrumentCatalog
    positions: StreamPositions
    leadership: LeadershipLease
    breaker: BreakerStore
    budgets: RateBudgetStore
    book: LimitBook
    halts: TradingHalts
    prices: InstrumentPrices
    actions: OperatorActions
    seals: AccountSeals
    revocations: TokenRevocations
    resolutions: PostgresResolutions | MemoryResolutions
    other_prices: Callable[[], InstrumentPrices]
    forget: Callable[[str, int], Awaitable[object]]


def memory_adapters() -> Adapters:
    """Return the adapters of unit tests."""
    positions = MemoryStreamPositions(now)
    orders = MemoryOrderStore(now, positions)
    log = MemoryChangeLog(orders.changes)
    prices = MemoryInstrumentPrices(actions=orders.actions)

    async def forget(account_id: str, through: int) -> None:
        log.prune(account_id, through=through)

    return Adapters(
        orders=orders,
        reader=MemoryOrderReader(orders),
        accounts=MemoryAccountReader(orders),
        log=log,
        catalog=MemoryInstrumentCatalog(),
        positions=positions,
        leadership=positions,
        breaker=orders.breaker,
        budgets=MemoryRateBudgetStore(lambda: now().timestamp(), orders.breaker),
        book=orders.book,
        halts=orders.halts,
        prices=prices,
        actions=orders.actions,
        seals=MemoryAccountSeals(now, orders.changes),
        revocations=MemoryTokenRevocations(),
        resolutions=orders.resolutions,
        other_prices=lambda: prices,
        forget=forget,
    )


def postgres_adapters(database: Database) -> Adapters:
    """Return the adapters of processes."""
    return Adapters(
        orders=make_store(database),
        reader=PostgresOrderReader(database),
        accounts=PostgresAccountReader(database),
        log=PostgresChangeLog(database),
        catalog=PostgresInstrumentCatalog(database, cache_seconds=5),
        positions=PostgresStreamPositions(database),
        leadership=PostgresLeadershipLease(database),
        breaker=PostgresBreakerStore(database, VENUE),
        budgets=PostgresRateBudgetStore(database, key="SIM key", venue=VENUE),
        book=PostgresLimitBook(database, cache_seconds=5),
        halts=PostgresTradingHalts(database),
        prices=PostgresInstrumentPrices(database, cache_seconds=5),
        actions=PostgresOperatorActions(database),
        seals=PostgresAccountSeals(database),
        revocations=PostgresTokenRevocations(database),
        resolutions=PostgresResolutions(database),
        other_prices=lambda: PostgresInstrumentPrices(database, cache_seconds=5),
        forget=lambda account_id, through: database.fetch(
            "DELETE FROM order_changes WHERE account_id = $1 AND sequence <= $2", account_id, through
        ),
    )
