"""The deadline of an operation, and how long operations take."""

import asyncio
from time import perf_counter
from types import TracebackType

from domain.ports.telemetry import Metric
from graph.context import Services
from graph.errors import OperationTimeoutError


class Deadline:
    """Ends what takes longer than the settings allow, by OperationTimeoutError, and measures it under its kind."""

    __slots__ = ("_kind", "_services", "_started", "_term")

    def __init__(self, services: Services, *, kind: str) -> None:
        self._services = services
        self._kind = kind

    def __enter__(self) -> None:
        self._started = perf_counter()
        self._term = self._services.deadlines.begin(self._services.settings.operation_timeout_seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        services = self._services
        try:
            if services.deadlines.end(self._term) and isinstance(error, asyncio.CancelledError):
                raise OperationTimeoutError from None
        finally:
            services.telemetry.observe(Metric.OPERATION_SECONDS, perf_counter() - self._started, type=self._kind)
