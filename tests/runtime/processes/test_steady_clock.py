"""The clock of the pauses between look-ups."""

from datetime import UTC, datetime, timedelta

from runtime.processes.lifecycle import SteadyClock

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_a_steady_clock_follows_the_monotonic_time_from_where_it_started() -> None:
    elapsed = [100.0]
    clock = SteadyClock(elapsed_seconds=lambda: elapsed[0], started_at=NOON)

    elapsed[0] += 61.5

    assert clock() == NOON + timedelta(seconds=61.5)
