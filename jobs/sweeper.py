"""The sweeper: it finds due orders and cancel requests whose wake-up was lost."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from domain.ports.order_store import OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.services.cancel_delivery import CancelDelivery
from domain.services.submission import Submission
from jobs.periodic import finish_within, repeat

SWEEP_ORDERS_MAX = 64
CONCURRENT_SWEEPS_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """The sweeper of one worker: it submits and cancels what has been due for longer than `overdue_by`.

    Up to CONCURRENT_SWEEPS_MAX sweeps run at once, so that a slow venue delays only one of them. A running sweep may
    take `stop_within` to finish when the process stops.
    """

    orders: OrderStore
    submission: Submission
    delivery: CancelDelivery
    telemetry: Telemetry
    interval: timedelta
    overdue_by: timedelta
    stop_within: timedelta

    async def run(self) -> None:
        """Sweep every `interval`, until cancelled; then finish the running sweeps, within the bound."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONCURRENT_SWEEPS_MAX):
                tasks.create_task(
                    repeat(self._sweep_and_finish, every=self.interval, name="sweep", telemetry=self.telemetry)
                )
            tasks.create_task(repeat(self.measure, every=self.interval, name="measure_due", telemetry=self.telemetry))

    async def _sweep_and_finish(self) -> bool:
        return await finish_within(self.sweep(), within=self.stop_within)

    async def sweep(self) -> bool:
        """Sweep once; return True when there may be more."""
        placed = await self.submission.sweep(limit=SWEEP_ORDERS_MAX, overdue_by=self.overdue_by)
        canceled = await self.delivery.sweep(limit=SWEEP_ORDERS_MAX, overdue_by=self.overdue_by)
        if placed or canceled:
            self.telemetry.count(Metric.SWEPT_ORDERS, placed + canceled)
            self.telemetry.warning(
                "swept", placements=placed, cancels=canceled, next="done; their wake-ups were lost or came late"
            )
        return SWEEP_ORDERS_MAX in (placed, canceled)

    async def measure(self) -> bool:
        """Measure how overdue the most overdue order is, and the state of the venue's circuit."""
        oldest = await self.orders.oldest_due()
        self.telemetry.set(Metric.OLDEST_DUE_SECONDS, oldest.total_seconds() if oldest else 0.0)
        await self.submission.breaker.measure()
        return False
