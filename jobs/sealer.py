"""The sealer: it seals the changes of accounts in their hash chains, and measures how far behind that is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from domain.ports.telemetry import Metric, Telemetry
from domain.services.sealing import Sealing
from jobs.periodic import repeat


@dataclass(slots=True, kw_only=True)
class Sealer:
    """The sealer of one worker. `steady_seconds` is a monotonic clock."""

    sealing: Sealing
    telemetry: Telemetry
    interval: timedelta
    steady_seconds: Callable[[], float]
    _sealed_until: float = field(init=False)

    def __post_init__(self) -> None:
        """Note the start: the lag counts from it."""
        self._sealed_until = self.steady_seconds()

    async def run(self) -> None:
        """Seal every `interval`, until cancelled."""
        await repeat(self.seal, every=self.interval, name="seal", telemetry=self.telemetry)

    async def seal(self) -> bool:
        """Seal once. The pause afterwards also limits the rate at which an old database is sealed."""
        started = self.steady_seconds()
        self.telemetry.set(Metric.AUDIT_SEAL_LAG_SECONDS, started - self._sealed_until)
        if await self.sealing.seal():
            self._sealed_until = started
        return False
