"""Telemetry that keeps what was said."""

from collections import defaultdict
from dataclasses import dataclass, field

from domain.telemetry import Metric


@dataclass
class MemoryTelemetry:
    """Keeps what was said."""

    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    counts: dict[Metric, int] = field(default_factory=lambda: defaultdict(int))
    gauges: dict[Metric, float] = field(default_factory=dict)

    def count(self, metric: Metric, amount: int = 1, **_labels: str) -> None:
        self.counts[metric] += amount

    def observe(self, metric: Metric, value: float, **_labels: str) -> None:
        assert value >= 0
        self.counts[metric] += 1

    def set(self, metric: Metric, value: float, **_labels: str) -> None:
        self.gauges[metric] = value

    def info(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    warning = error = info

    def clear(self) -> None:
        """Forget it all."""
        self.events.clear()
        self.counts.clear()

    def said(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.events if name == event]
