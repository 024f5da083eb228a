"""The reconciler: it finds open orders that have not changed for long and are closed at the venue."""

from dataclasses import dataclass
from datetime import timedelta

from domain.ports.telemetry import Telemetry
from domain.services.reconciliation import Reconciliation
from jobs.periodic import repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """The reconciler of one worker. It does not depend on ingest."""

    reconciliation: Reconciliation
    telemetry: Telemetry
    interval: timedelta
    silent_for: timedelta

    async def run(self) -> None:
        """Compare our open orders with the venue's every `interval`, until cancelled."""
        await repeat(self.compare, every=self.interval, name="reconcile", telemetry=self.telemetry)

    async def compare(self) -> bool:
        """Compare once."""
        await self.reconciliation.compare_open_orders(silent_for=self.silent_for)
        return False
