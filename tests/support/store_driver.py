"""Operations on an order store as the domain's services perform them, in short form for the tests of a store."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from domain.model.apply_reports import apply_reports
from domain.model.changes import RecordedChange
from domain.model.errors import VersionConflictError
from domain.model.reports import Report
from domain.ports.order_store import AttemptEnd, OrderStore, OrderWrite
from domain.services.recording import execution_keys
from tests.support.examples import name_of, new_order, now

READS_MAX = 200


@dataclass(frozen=True, slots=True)
class Clerk:
    """Stores orders and records reports, in any store."""

    orders: OrderStore

    async def store(self, count: int, *, accounts: Sequence[str] = ("alice",), quantity: str = "100") -> list[UUID]:
        """Store new orders, spread over the accounts."""
        tag = uuid7().hex[-12:]
        orders = [
            new_order(
                account_id=accounts[number % len(accounts)],
                client_order_id=f"{tag}-{number}",
                at=now(),
                quantity=quantity,
            )
            for number in range(count)
        ]
        stored = await asyncio.gather(*(self.orders.store(order) for order in orders))
        return [one.order.id for one in stored]

    async def decide(
        self,
        reports: Mapping[UUID, Sequence[Report]],
        *,
        attempt_end: AttemptEnd | None = None,
        unclaimed: bool = False,
    ) -> list[OrderWrite]:
        """Read the orders and apply the reports, without writing yet."""
        named = {name_of(order_id): of_order for order_id, of_order in reports.items()}
        loaded = await self.orders.load_reported(list(named), list(execution_keys(named)))
        writes = []
        for name, read in loaded.items():
            applied = apply_reports(read.order, named[name], known=read.executions, now=now(), new_id=uuid7)
            writes.append(
                OrderWrite(
                    order=applied.order,
                    read_version=read.order.version,
                    read_successors=read.order.facts.successors,
                    changes=applied.changes,
                    executions=applied.executions,
                    attempt_end=attempt_end,
                    unclaimed=unclaimed,
                )
            )
        return writes

    async def record(self, reports: Mapping[UUID, Sequence[Report]]) -> Sequence[RecordedChange]:
        """Apply the reports and write; read again after each concurrent write."""
        for _ in range(READS_MAX):
            try:
                return await self.orders.write(await self.decide(reports))
            except VersionConflictError:
                continue
        raise AssertionError(f"stale {READS_MAX} times")
