"""An operation that takes too long is ended, and nobody's cancellation is taken for a time-out."""

import asyncio
import time

import pytest

from domain.ports.telemetry import Metric
from graph.errors import OperationTimeoutError
from graph.limits.deadline import deadline
from tests.support.fakes.telemetry import RecordingTelemetry

SECONDS = 0.05


async def bounded(ended: asyncio.Event, telemetry: RecordingTelemetry | None = None) -> str:
    try:
        async with deadline(telemetry or RecordingTelemetry(), seconds=SECONDS, kind="query"):
            await ended.wait()
    except OperationTimeoutError:
        return "timed out"
    return "ended"


async def test_who_ends_in_time_is_left_alone_and_each_of_the_others_is_ended() -> None:
    quick, never = asyncio.Event(), asyncio.Event()
    quick.set()

    outcomes = await asyncio.gather(*(bounded(never if n % 3 == 0 else quick) for n in range(9)))

    assert outcomes == ["timed out" if n % 3 == 0 else "ended" for n in range(9)]


async def test_an_operation_is_measured_whether_it_ends_or_times_out() -> None:
    telemetry, quick = RecordingTelemetry(), asyncio.Event()
    quick.set()

    await bounded(quick, telemetry)
    await bounded(asyncio.Event(), telemetry)

    measured = telemetry.measured[Metric.OPERATION_SECONDS]
    assert len(measured) == 2
    assert measured[0] < SECONDS <= measured[1]


async def test_a_cancellation_by_the_caller_is_not_taken_for_a_time_out() -> None:
    task = asyncio.create_task(bounded(asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_at_the_moment_of_the_time_out_stays_one() -> None:
    task = asyncio.create_task(bounded(asyncio.Event()))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(SECONDS, task.cancel)
    time.sleep(2 * SECONDS)  # noqa: ASYNC251 - both deadlines have passed when the loop checks its timers next

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_time_out_of_the_operation_itself_is_not_taken_for_the_deadline() -> None:
    with pytest.raises(TimeoutError, match="its own"):
        async with deadline(RecordingTelemetry(), seconds=60, kind="query"):
            raise TimeoutError("its own")
