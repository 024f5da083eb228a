"""The deadline of an operation, and how long operations take."""

import asyncio
from time import perf_counter
from types import TracebackType

from domain.telemetry import Metric
from graph.context import Services
from graph.errors import OperationTimedOut


class Deadline:
    """Ends what takes longer than the settings allow, by OperationTimedOut, and measures it under its kind."""

    def __init__(self, services: Services, *, kind: str) -> None:
        self._telemetry = services.telemetry
        self._kind = kind
        self._limit = asyncio.timeout(services.settings.operation_timeout_seconds)

    async def __aenter__(self) -> None:
        self._started = perf_counter()
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            raise OperationTimedOut from None
        finally:
            self._telemetry.observe(Metric.OPERATION_SECONDS, perf_counter() - self._started, type=self._kind)
