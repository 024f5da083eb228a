"""The resolver: it applies operators' requests for orders that cannot be resolved automatically."""

from dataclasses import dataclass
from datetime import timedelta

from domain.ports.telemetry import Telemetry
from domain.services.resolving import Resolving
from jobs.periodic import repeat

LOOKS_EVERY = timedelta(seconds=0.5)
"""How often a worker looks for requests: a person waits. It reads an index that is empty nearly always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """The resolver of one worker."""

    resolving: Resolving
    telemetry: Telemetry

    async def run(self) -> None:
        """Apply requests until cancelled."""
        await repeat(self.resolving.work, every=LOOKS_EVERY, name="resolutions", telemetry=self.telemetry)
