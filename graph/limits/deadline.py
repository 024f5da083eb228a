"""The deadline of an operation, and how long operations take."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from domain.ports.telemetry import Metric, Telemetry
from graph.errors import OperationTimeoutError


@asynccontextmanager
async def deadline(telemetry: Telemetry, *, seconds: float, kind: str) -> AsyncIterator[None]:
    """End what takes longer than `seconds` by OperationTimeoutError, and measure it under its kind."""
    started = perf_counter()
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise OperationTimeoutError from None
    finally:
        telemetry.observe(Metric.OPERATION_SECONDS, perf_counter() - started, type=kind)
