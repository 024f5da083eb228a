"""Every statement of a process runs with the privileges of its own role."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from db.account_limits import PostgresLimitBook
from db.breaker_store import PostgresBreakerStore
from db.change_log import PostgresChangeLog
from db.database import Database
from db.dead_letters import PostgresDeadLetters
from db.due_times import PostgresDueTimes
from db.engine import open_database
from db.instrument_catalog import PostgresInstrumentCatalog
from db.instrument_prices import PostgresInstrumentPrices
from db.order_reader import PostgresOrderReader
from db.order_store import PostgresOrderStore
from db.rate_budget_store import PostgresRateBudgetStore
from db.readiness import require_ready
from db.stream_positions import PostgresLeadershipLease, PostgresStreamPositions
from db.trading_halts import PostgresTradingHalts
from db.waiting_orders import PostgresWaitingOrders
from domain.model.errors import OrderDeniedError, VersionConflictError
from domain.model.limits import AccountLimits, LastPrice
from domain.model.order import End, OrderStatus, VenueCount
from domain.model.rate_budget import RateBudget
from domain.ports.due_times import DueBounds
from domain.ports.ingest_state import Fence
from domain.ports.order_store import AttemptEnd
from domain.ports.trading_control import TradingHalt
from tests.support.examples import (
    ISIN,
    WE_SAY,
    accepted,
    an_instrument,
    busted,
    cancel_asked,
    corrected,
    ended,
    filled,
    new_order,
    now,
)
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.operators import begin_halt, clear_limits, end_halt, save_limits
from tests.support.postgres_stores import VENUE, make_store
from tests.support.store_driver import Clerk
from tools.devstack.database_roles import role_url

LEASE = timedelta(seconds=30)
NO_TIME = timedelta(0)


@pytest.fixture
async def logins(database_url: str) -> AsyncIterator[Mapping[str, Database]]:
    """Open the emptied database as each role."""
    async with AsyncExitStack() as stack:
        yield {
            role: await stack.enter_async_context(
                open_database(role_url(database_url, role), application_name="test", pool_max_connections=2)
            )
            for role in ("api", "worker", "ingest", "operator")
        }


@pytest.fixture
def api(logins: Mapping[str, Database]) -> Clerk:
    """Return a clerk that stores orders and requests as the API does."""
    store = PostgresOrderStore(logins["api"], venue=VENUE, telemetry=RecordingTelemetry(), requests_only=True)
    return Clerk(store)


@pytest.fixture
def worker(logins: Mapping[str, Database]) -> Clerk:
    """Claims and records as a worker does."""
    return Clerk(make_store(logins["worker"]))


async def test_the_api_stores_orders_singly_in_batches_and_under_limits(
    logins: Mapping[str, Database], api: Clerk
) -> None:
    book, reader = _limit_book(logins["api"]), PostgresOrderReader(logins["api"])
    await api.store(1)
    await api.store(5, accounts=("alice", "bob"))
    limits = await save_limits(book, AccountLimits(account_id="carol", max_open_orders=1, set_by="olga"))
    stored = await api.orders.store(new_order(account_id="carol", client_order_id="1", at=now()), limits=limits)
    with pytest.raises(OrderDeniedError):
        await api.orders.store(new_order(account_id="carol", client_order_id="2", at=now()), limits=limits)

    assert await clear_limits(book, "carol")
    assert await reader.order(stored.order.id, account_ids=("carol",)) is not None
    changes = await PostgresChangeLog(logins["api"]).changes_after("alice", 0, limit=10)
    assert [change.sequence for change in changes] == [1, 2, 3, 4]


async def test_the_api_cancels_unsent_orders_and_requests_cancels_of_others(api: Clerk, worker: Clerk) -> None:
    unsent, open_order = await api.store(2)
    await worker.record({open_order: [accepted(), filled("30", name="F1")]})

    (write,) = await api.decide({unsent: [ended(End.CANCELED, reason=WE_SAY)]}, unclaimed=True)
    await api.orders.write([write])
    (write,) = await api.decide({open_order: [cancel_asked()]})
    await api.orders.write([replace(write, cancel_in=NO_TIME)])

    found = await worker.orders.load([unsent, open_order])
    assert found[unsent].order.status is OrderStatus.CANCELED
    assert found[open_order].order.status is OrderStatus.PENDING_CANCEL
    assert found[open_order].order.facts.filled_quantity == Decimal(30)
    assert [one.order.id for one in await worker.orders.claim_cancels([unsent, open_order], lease=LEASE)] == [
        open_order
    ]


async def test_a_request_takes_no_count_of_the_venue_back(api: Clerk, worker: Clerk) -> None:
    (order_id,) = await api.store(1)
    await worker.record({order_id: [filled("30"), busted()]})
    (request,) = await api.decide({order_id: [cancel_asked()]})
    count = VenueCount(at=now(), quantity=Decimal(0))
    assert not await worker.record({order_id: [replace(busted(), count=count)]})

    await api.orders.write([request])

    assert (await worker.orders.load([order_id]))[order_id].order.facts.count == count


async def test_the_api_writes_nothing_that_the_venue_reports(api: Clerk, worker: Clerk) -> None:
    (order_id,) = await api.store(1)

    (fill,) = await api.decide({order_id: [filled("30")]})
    with pytest.raises(ValueError, match="only requests"):
        await api.orders.write([fill])
    (acceptance,) = await api.decide({order_id: [accepted()]})
    with pytest.raises(VersionConflictError):
        await api.orders.write([acceptance])

    (order,) = (await worker.orders.load([order_id])).values()
    assert (order.order.version, order.order.status) == (1, OrderStatus.PENDING)


async def test_the_api_and_operators_halt_and_resume_and_a_worker_sees_it(
    logins: Mapping[str, Database], api: Clerk, worker: Clerk
) -> None:
    (order_id,) = await api.store(1)
    for role in ("api", "operator"):
        halts = PostgresTradingHalts(logins[role])
        halt = TradingHalt(id=uuid7(), account_id=None, halted_at=now(), halted_by=role, halt_reason="drill")
        assert (await begin_halt(halts, halt)).halted_by == role
        assert await worker.orders.claim([order_id], lease=LEASE) == []
        assert await PostgresTradingHalts(logins["worker"]).halted_accounts() == {None}
        assert await end_halt(halts, None, by=role, reason="over") is not None

    assert [claim.is_halted for claim in await worker.orders.claim([order_id], lease=LEASE)] == [False]


async def test_a_worker_claims_records_and_amends(logins: Mapping[str, Database], api: Clerk, worker: Clerk) -> None:
    first, second = await api.store(2)
    (claim,) = await worker.orders.claim([first], lease=LEASE)
    end = AttemptEnd(attempt=claim.loaded.attempt, error="slow", counts=True, may_have_been_sent=False, next_in=None)
    (write,) = await worker.decide({first: [accepted()]}, attempt_end=end)
    await worker.orders.write([write])
    await worker.record({first: [filled("30", name="F1", venue_order_id="V1"), filled("40", name="F2")]})
    await worker.record({first: [busted("F1"), corrected("20", name="F2")]})

    due = await worker.orders.claim_due(limit=5, overdue_by=NO_TIME, lease=LEASE)
    assert [one.loaded.order.id for one in due] == [second]
    assert await worker.orders.holds_claim(due[0], within=LEASE)
    late = DueBounds(lease=LEASE, cancel=NO_TIME, probe=NO_TIME)
    assert await PostgresDueTimes(logins["worker"], VENUE).repair(late) == 0
    assert await worker.orders.claim_due_cancels(limit=5, overdue_by=NO_TIME, lease=LEASE) == []
    assert await worker.orders.oldest_due() is None
    assert [one.order.id for one in await worker.orders.open_at_venue(silent_for=NO_TIME, limit=5)] == [first]
    assert await worker.orders.recorded_fills([("V1", "F2")]) == {("V1", "F2")}
    assert await PostgresWaitingOrders(logins["worker"]).waiting(in_doubt_for=NO_TIME, pending_for=NO_TIME, limit=5)
    assert (await worker.orders.load([first]))[first].order.facts.filled_quantity == Decimal(20)


async def test_ingest_leads_records_and_remembers_where_it_was(logins: Mapping[str, Database], api: Clerk) -> None:
    lease, positions = PostgresLeadershipLease(logins["ingest"]), PostgresStreamPositions(logins["ingest"])
    (order_id,) = await api.store(1)
    fence = await lease.acquire(VENUE, leader_id=UUID(int=1), lease=LEASE)
    assert isinstance(fence, Fence)
    ingest = Clerk(make_store(logins["ingest"]))
    writes = await ingest.decide({order_id: [accepted(), filled("30", name="F1")]})

    assert len(await ingest.orders.write(writes, fence=fence)) == 2
    await ingest.record({order_id: [corrected("20")]})
    moment = now()
    await positions.advance(VENUE, moment, fence=fence)
    assert await positions.read(VENUE) == moment
    assert await lease.renew(fence, lease=LEASE)
    await lease.release(fence)


@pytest.mark.parametrize("role", ["worker", "ingest", "operator"])
async def test_roles_that_call_the_venue_may_write_its_breaker_budget_and_prices(
    logins: Mapping[str, Database], role: str
) -> None:
    breaker, budget = PostgresBreakerStore(logins[role], VENUE), PostgresRateBudgetStore(logins[role], "K", VENUE)

    assert (await breaker.record_failure(error="down", threshold=1, open_for=LEASE)).is_new
    await breaker.allow_next_probe()
    assert (await breaker.record_success()).is_new
    assert (await breaker.pause(wait=LEASE, error="slow down")).is_new
    for version in range(2):
        assert await budget.write(RateBudget(limit=200), version=version)
    assert (await budget.read()).version == 2
    price = LastPrice(isin=ISIN, price=Decimal("12.5"), at=now())
    assert await _prices(logins[role]).save([price]) == {ISIN}
    if role != "operator":
        for _ in range(2):
            await PostgresDeadLetters(logins[role]).add(source="stream", error="no id", raw=b"{")


async def test_operators_load_instruments_and_recount(
    logins: Mapping[str, Database], api: Clerk, database_url: str
) -> None:
    catalog = PostgresInstrumentCatalog(logins["operator"], cache_seconds=0)
    await api.store(2)
    superuser = await asyncpg.connect(database_url)
    await superuser.execute("UPDATE accounts SET open_orders = 7")
    await superuser.close()

    assert await catalog.save([an_instrument()]) == 1
    assert await catalog.save([an_instrument(tradable=False)]) == 1
    assert await _limit_book(logins["operator"]).recount_open_orders() == 1
    assert await _limit_book(logins["operator"]).open_orders("alice") == 2


async def test_every_role_sees_whether_the_tables_are_new_enough(logins: Mapping[str, Database]) -> None:
    await asyncio.gather(*(require_ready(database) for database in logins.values()))
    assert all([await database.fetch("SELECT FROM alembic_version") for database in logins.values()])


def _limit_book(database: Database) -> PostgresLimitBook:
    return PostgresLimitBook(database, cache_seconds=0)


def _prices(database: Database) -> PostgresInstrumentPrices:
    return PostgresInstrumentPrices(database, cache_seconds=0)
