"""The worker's loop that repairs due times after the database's clock was put back."""

from dataclasses import dataclass
from datetime import timedelta

from domain.ports.due_times import DueBounds, DueTimes
from domain.ports.telemetry import Telemetry
from jobs.periodic import repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTimeRepair:
    """The repair of one worker. It has no effect unless the clock was set back."""

    due_times: DueTimes
    telemetry: Telemetry
    interval: timedelta
    bounds: DueBounds

    async def run(self) -> None:
        """Repair every `interval`, until cancelled."""
        await repeat(self.repair, every=self.interval, name="repair_due_times", telemetry=self.telemetry)

    async def repair(self) -> bool:
        """Repair once; return True when there may be more."""
        count = await self.due_times.repair(self.bounds)
        if count:
            self.telemetry.warning(
                "due_times_repaired", count=count, next="done; the database's clock was put back: see that it is right"
            )
        return count > 0
