"""The plain loops of every worker. They must not depend on what they repair, so they are not SAQ crons.

The sweeper finds orders whose wake-up was lost; the reconciler finds orders of which the venue has been silent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta

from domain.model.errors import TransientError
from domain.ports.order_store import OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.services.cancellation import CancelDelivery
from domain.services.reconciliation import Reconciliation
from domain.services.submission import Submission
from domain.services.trading_control import TradingControl

SWEEP_ORDERS_MAX = 64
SWEEPS_AT_ONCE_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Places and cancels what has been due for longer than `overdue_by`. A slow exchange holds up one sweep, and up
    to SWEEPS_AT_ONCE_MAX go on at once. A sweep under way may take `stop_within` to finish when the process stops."""

    orders: OrderStore
    submission: Submission
    delivery: CancelDelivery
    telemetry: Telemetry
    interval: timedelta
    overdue_by: timedelta
    stop_within: timedelta

    async def run(self) -> None:
        """Sweep until cancelled; then finish what is being sent, within the bound."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(SWEEPS_AT_ONCE_MAX):
                tasks.create_task(
                    repeat(self._whole_sweep, every=self.interval, name="sweep", telemetry=self.telemetry)
                )
            tasks.create_task(repeat(self.measure, every=self.interval, name="measure_due", telemetry=self.telemetry))

    async def _whole_sweep(self) -> bool:
        return await to_its_end(self.sweep(), within=self.stop_within)

    async def sweep(self) -> bool:
        """Sweep once; True when there may be more."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Compares our open orders with the venue's list, whoever else follows the stream."""

    reconciliation: Reconciliation
    telemetry: Telemetry
    interval: timedelta
    silent_for: timedelta

    async def run(self) -> None:
        """Compare until cancelled."""
        await repeat(self.compare, every=self.interval, name="reconcile", telemetry=self.telemetry)

    async def compare(self) -> bool:
        """Compare once."""
        await self.reconciliation.compare_open_orders(silent_for=self.silent_for)
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltWatch:
    """Shows how many halts of trading are open, whoever began or ended them."""

    control: TradingControl
    telemetry: Telemetry
    interval: timedelta

    async def run(self) -> None:
        """Look until cancelled."""
        await repeat(self.look, every=self.interval, name="halts", telemetry=self.telemetry)

    async def look(self) -> bool:
        """Look once."""
        await self.control.measure()
        return False


async def repeat(step: Callable[[], Awaitable[bool]], *, every: timedelta, name: str, telemetry: Telemetry) -> None:
    """Run the step, wait, and so on until cancelled; a step that returns True is run again at once.

    A failure that may pass is logged when it begins and when it ends, not at every turn.
    """
    failing = False
    while True:
        try:
            more = await step()
            if failing:
                telemetry.info("loop_recovered", loop=name)
            failing = False
        except TransientError as error:
            more = False
            if not failing:
                telemetry.warning("loop_failing", loop=name, error=str(error), next="tried again until it works")
            failing = True
        except Exception as error:  # noqa: BLE001 - what repairs others must outlive a surprise of its own
            more = False
            telemetry.error("loop_error", loop=name, error=repr(error), next="goes on; report this with the log")
        if not more:
            await asyncio.sleep(every.total_seconds())


async def to_its_end(step: Coroutine[None, None, bool], *, within: timedelta) -> bool:
    """The step's result. When the caller is cancelled the step goes on to its end, within the bound, before that."""
    running = asyncio.create_task(step)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running], timeout=within.total_seconds())
        raise
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
