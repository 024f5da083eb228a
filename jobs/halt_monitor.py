"""The monitor of halts: it measures how many halts of trading are open."""

from dataclasses import dataclass
from datetime import timedelta

from domain.ports.telemetry import Telemetry
from domain.services.trading_control import TradingControl
from jobs.periodic import repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltMonitor:
    """The monitor of one worker."""

    control: TradingControl
    telemetry: Telemetry
    interval: timedelta

    async def run(self) -> None:
        """Measure every `interval`, until cancelled."""
        await repeat(self.measure, every=self.interval, name="halts", telemetry=self.telemetry)

    async def measure(self) -> bool:
        """Measure once."""
        await self.control.measure()
        return False
