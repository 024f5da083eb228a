"""Works with an order store as the domain's stories do, in the few words that the tests need."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from uuid_utils.compat import uuid7

from db.database import Database
from db.order_store import PostgresOrderStore
from domain.changes import RecordedChange
from domain.errors import StaleWrite
from domain.evidence import apply_reports
from domain.executions import Trade
from domain.order import End, VenueRank
from domain.ports import AttemptEnd, ExecutionKey, OrderWrite
from domain.reports import ExecutionBusted, ExecutionCorrected, OrderAccepted, OrderEnded, OrderFilled, Report
from domain.values import Reason, ReasonSource
from tests.memory import RecordingTelemetry
from tests.orders import new_order

VENUE = "SIM"
READS_MAX = 200
VENUE_REASON = Reason(source=ReasonSource.VENUE, code="VENUE_SAYS", message="The venue says so.")


def make_store(database: Database) -> PostgresOrderStore:
    """A store as a process makes it."""
    return PostgresOrderStore(database, venue=VENUE, telemetry=RecordingTelemetry())


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def accepted(venue_order_id: str = "v-1", rank: VenueRank = VenueRank.ACCEPTED) -> OrderAccepted:
    """The venue has the order."""
    return OrderAccepted(venue_order_id=venue_order_id, rank=rank, at=now())


def fill(
    name: str, quantity: str = "10", price: str = "190.5", *, cumulative_quantity: Decimal | None = None
) -> OrderFilled:
    """One execution, by the venue's id of it."""
    trade = Trade(quantity=Decimal(quantity), price=Decimal(price))
    return OrderFilled(
        venue_execution_id=name, trade=trade, cumulative_quantity=cumulative_quantity, venue_order_id=None, at=now()
    )


def ended(end: End, reason: Reason = VENUE_REASON) -> OrderEnded:
    """The order is over at the venue."""
    return OrderEnded(end=end, reason=reason, venue_order_id=None, at=now())


@dataclass(frozen=True, slots=True)
class Desk:
    """Accepts orders and records reports."""

    store: PostgresOrderStore

    async def accept(self, count: int, *, accounts: Sequence[str] = ("demo",), quantity: str = "100") -> list[UUID]:
        """New orders, spread over the accounts."""
        tag = uuid7().hex[-12:]
        orders = [
            new_order(
                account_id=accounts[number % len(accounts)],
                client_order_id=f"{tag}-{number}",
                at=now(),
                quantity=Decimal(quantity),
            )
            for number in range(count)
        ]
        stored = await asyncio.gather(*(self.store.accept(order) for order in orders))
        return [one.order.id for one in stored]

    async def decide(
        self,
        reports: Mapping[UUID, Sequence[Report]],
        *,
        attempt_end: AttemptEnd | None = None,
        unclaimed: bool = False,
    ) -> list[OrderWrite]:
        """Read the orders and apply the reports, without writing yet."""
        keys = [key for order_id, said in reports.items() for key in _keys(order_id, said)]
        loaded = await self.store.load(list(reports), keys)
        writes = []
        for order_id, read in loaded.items():
            applied = apply_reports(read.order, reports[order_id], known=read.executions, now=now(), new_id=uuid7)
            writes.append(
                OrderWrite(
                    order=applied.order,
                    read_version=read.order.version,
                    changes=applied.changes,
                    executions=applied.executions,
                    attempt_end=attempt_end,
                    unclaimed=unclaimed,
                )
            )
        return writes

    async def record(self, reports: Mapping[UUID, Sequence[Report]]) -> Sequence[RecordedChange]:
        """Apply the reports and write, reading again for as long as somebody else was faster."""
        for _ in range(READS_MAX):
            try:
                return await self.store.write(await self.decide(reports))
            except StaleWrite:
                continue
        raise AssertionError(f"stale {READS_MAX} times")


def _keys(order_id: UUID, reports: Sequence[Report]) -> list[ExecutionKey]:
    keys = []
    for report in reports:
        if isinstance(report, OrderFilled | ExecutionCorrected | ExecutionBusted):
            total = report.cumulative_quantity if isinstance(report, OrderFilled) else None
            keys.append(
                ExecutionKey(order_id=order_id, venue_execution_id=report.venue_execution_id, cumulative_quantity=total)
            )
    return keys
