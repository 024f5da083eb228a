"""The catch-ups of one consumer, from all causes: when they begin to fail and when they recover."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from domain.model.errors import TransientError
from domain.ports.telemetry import Telemetry
from domain.services.reconciliation import CONNECT, Reconciliation


@dataclass(slots=True, kw_only=True)
class CatchUpRunner:
    """The runner of catch-ups. It logs each that fails, and the first that succeeds again.

    `found_at` is when the last one ended that found something which an open stream did not send, in the event loop's
    seconds: what the catch-up after a connect finds was missed before.
    """

    reconciliation: Reconciliation
    telemetry: Telemetry
    found_at: float = float("-inf")
    _is_failing: bool = False

    async def repair(self) -> bool:
        """Repair the orders that are due; return False when the venue or the database did not answer."""
        return await self._try(self.reconciliation.repair.run(), failure="fill_repair_failed", next_step="tried again")

    async def compare_closed_orders(self) -> None:
        """Compare the orders that are over since the connect, if there are any to compare."""
        comparing = self.reconciliation.compare_closed_orders()
        await self._try(comparing, failure="closed_orders_not_compared", next_step="tried again")

    async def _try(self, step: Awaitable[int], *, failure: str, next_step: str) -> bool:
        try:
            await step
        except TransientError as error:
            self.telemetry.warning(failure, error=str(error), next=next_step)
            return False
        return True

    async def run(self, *, cause: str) -> int | None:
        """Catch up; return the number of changes, or None when it failed and is to be tried again."""
        try:
            changes = await self.reconciliation.catch_up(cause=cause)
        except TransientError as error:
            self._is_failing = True
            self.telemetry.warning("catch_up_failed", cause=cause, error=str(error), next="tried again")
            return None
        if changes and cause != CONNECT:
            self.found_at = asyncio.get_running_loop().time()
        if self._is_failing:
            self._is_failing = False
            self.telemetry.info("catch_up_recovered", cause=cause)
        return changes
