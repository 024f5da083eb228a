"""The state of a job queue that fails: the reason, and which worker retries next."""

import asyncio
import time

import pytest
from redis import exceptions

from domain.ports.telemetry import Metric
from jobs.queue_outage import PAUSE_SECONDS, QueueOutage, trouble_of
from tests.support.fakes.telemetry import RecordingTelemetry

TASKS = 64
OBSERVED_SECONDS = 0.5


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.ConnectionError("refused"), "unreachable"),
        (OSError("no route"), "unreachable"),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), "read only"),
        (exceptions.ResponseError("UNBLOCKED force unblock from blocking operation"), "read only"),
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "out of memory"),
        (exceptions.NoPermissionError("User worker has no permissions to run the 'blmove' command"), "denied"),
        (exceptions.ResponseError("ERR The user executing the script can't run this command or subcommand"), "denied"),
        (exceptions.AuthenticationError("WRONGPASS invalid username-password pair"), "login refused"),
        (exceptions.ResponseError("NOAUTH Authentication required."), "login refused"),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "loading"),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "cannot save"),
        (exceptions.MaxConnectionsError("Too many connections"), "busy"),
        (exceptions.TimeoutError("Timeout reading from socket"), "busy"),
        (TimeoutError(), "busy"),
        (exceptions.ResponseError("WRONGTYPE Operation against a key"), "refused"),
        (exceptions.ResponseError("ERR unknown command 'BLMOVE'"), "refused"),
        (TypeError("a bug of the client"), "unreachable"),
    ],
)
def test_each_failure_of_redis_has_a_reason_in_fixed_words(error: Exception, reason: str) -> None:
    assert trouble_of(error) == reason


def test_an_outage_is_logged_once_for_each_reason_and_ends_for_all_that_met_it() -> None:
    telemetry = RecordingTelemetry()
    outage = QueueOutage(telemetry)

    for operation in ("take", "schedule", "sweep", "take"):
        outage.note_failure(operation, exceptions.ReadOnlyError())
    outage.note_failure("tell", exceptions.NoPermissionError())
    # A script with nothing to write succeeds, whatever error other scripts get.
    outage.note_success("schedule")
    outage.note_failure("schedule", exceptions.ReadOnlyError())
    outage.note_success("schedule")
    assert outage.is_failing("take")
    outage.note_success("take", ends_also=("sweep", "tell"))

    assert telemetry.counted(Metric.JOB_QUEUE_FAILURES, reason="read only") == 5
    assert [event for event, _ in telemetry.events] == ["job_queue_failing"] * 2 + ["job_queue_recovered"]
    assert not outage.is_failing("sweep")
    assert outage.reason == "denied"


async def test_one_task_at_a_time_retries_and_all_continue_when_it_works() -> None:
    outage = QueueOutage(RecordingTelemetry())
    outage.note_failure("take", OSError())
    tried: list[float] = []

    async def work(*, works_from: float) -> None:
        while outage.is_failing("take") and await outage.turn("take"):
            tried.append(time.monotonic())
            if time.monotonic() >= works_from:
                outage.note_success("take")
            else:
                outage.note_failure("take", OSError())

    began = time.monotonic()
    async with asyncio.timeout(OBSERVED_SECONDS * 4):
        await asyncio.gather(*(work(works_from=began + OBSERVED_SECONDS) for _ in range(TASKS)))

    pauses = [later - earlier for earlier, later in zip([began, *tried], tried, strict=False)]
    assert len(tried) <= 4
    assert all(pause >= PAUSE_SECONDS * 2**number * 0.9 for number, pause in enumerate(pauses))
