"""The loop that repairs due times: it logs when the database's clock was set back, and is silent otherwise."""

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from domain.ports.due_times import DueBounds, DueTimes
from jobs.due_time_repair import DueTimeRepair
from tests.support.fakes.telemetry import RecordingTelemetry

BOUNDS = DueBounds(lease=timedelta(seconds=60), cancel=timedelta(minutes=11), probe=timedelta(seconds=30))


@dataclass(slots=True)
class CountingDueTimes(DueTimes):
    """Due times of which each call repairs the next number."""

    counts: deque[int]
    asked: list[DueBounds] = field(default_factory=list)

    async def repair(self, bounds: DueBounds) -> int:
        self.asked.append(bounds)
        return self.counts.popleft()


async def test_a_clock_that_was_set_back_is_logged_and_the_repair_runs_until_nothing_is_left() -> None:
    telemetry, due_times = RecordingTelemetry(), CountingDueTimes(deque([1_000, 3, 0]))
    repair = DueTimeRepair(due_times=due_times, telemetry=telemetry, interval=timedelta(seconds=60), bounds=BOUNDS)

    more = [await repair.repair() for _ in range(3)]

    assert more == [True, True, False]
    assert [said["count"] for said in telemetry.said("due_times_repaired")] == [1_000, 3]
    assert due_times.asked == [BOUNDS] * 3
