"""The catch-ups of one consumer, whatever caused each: when they begin to fail and when they recover."""

import asyncio
from dataclasses import dataclass

from domain.model.errors import TransientError
from domain.ports.telemetry import Telemetry
from domain.services.reconciliation import Reconciliation

CONNECT = "connect"
"""The cause of the catch-up after a connect."""


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
