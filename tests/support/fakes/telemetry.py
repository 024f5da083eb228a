"""Telemetry that records."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.ports.telemetry import Metric


@dataclass(slots=True)
class RecordingTelemetry:
    """Keeps counts by metric and labels, every measured value, the newest value of each gauge, and the events."""

    counts: Counter[tuple[Metric, frozenset[tuple[str, str]]]] = field(default_factory=Counter)
    measured: defaultdict[Metric, list[float]] = field(default_factory=lambda: defaultdict(list), repr=False)
    gauges: dict[Metric, float] = field(default_factory=dict)
    events: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)

    def count(self, metric: Metric, amount: int = 1, **labels: str) -> None:
        self.counts[metric, frozenset(labels.items())] += amount

    def observe(self, metric: Metric, value: float, **labels: str) -> None:  # noqa: ARG002 - the port's shape
        self.measured[metric].append(value)

    def set(self, metric: Metric, value: float, **labels: str) -> None:  # noqa: ARG002 - the port's shape
        self.gauges[metric] = value

    def info(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    warning = error = info

    def clear(self) -> None:
        """Remove the recorded counts and events; gauges keep their values."""
        self.counts.clear()
        self.measured.clear()
        self.events.clear()

    def counted(self, metric: Metric, **labels: str) -> int:
        """How much was counted under these labels; without any, under all."""
        return sum(
            amount for (name, given), amount in self.counts.items() if name is metric and labels.items() <= given
        )

    def said(self, event: str) -> list[Mapping[str, object]]:
        """Return the fields of every event of that name."""
        return [fields for name, fields in self.events if name == event]
