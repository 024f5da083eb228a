"""The domain's telemetry over Prometheus and structlog."""

from collections.abc import Callable, Mapping

from structlog.typing import FilteringBoundLogger

from domain.ports.telemetry import Metric
from runtime.observability.metrics import Metrics

Listener = Callable[[str, Mapping[str, object]], None]
"""Called with each event and its fields. It must not wait or raise."""


class ProcessTelemetry:
    """The process' metrics and its log."""

    def __init__(self, metrics: Metrics, logger: FilteringBoundLogger) -> None:
        self.metrics = metrics
        self._logger = logger
        self._listeners: list[Listener] = []

    def add_listener(self, listener: Listener) -> None:
        """Call the listener with every event from now on."""
        self._listeners.append(listener)

    def count(self, metric: Metric, amount: int = 1, **labels: str) -> None:
        """Add to a counter."""
        if amount:
            self.metrics.counter(metric, labels).inc(amount)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        self.metrics.histogram(metric, labels).observe(value)

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        self.metrics.gauge(metric, labels).set(value)

    def info(self, event: str, **fields: object) -> None:
        """Log a normal event."""
        self._logger.info(event, **fields)
        self._notify(event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log a failure that is handled without a person."""
        self._logger.warning(event, **fields)
        self._notify(event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log a failure that needs a person."""
        self._logger.error(event, **fields)
        self._notify(event, fields)

    def _notify(self, event: str, fields: Mapping[str, object]) -> None:
        for listener in self._listeners:
            listener(event, fields)
