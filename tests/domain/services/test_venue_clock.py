"""The venue's clock, measured by its answers: only what they prove counts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ports.telemetry import Metric
from domain.services.venue_clock import SAMPLES_MAX, MeasuredVenueClock
from tests.support.fakes.clock import MIDNIGHT
from tests.support.fakes.telemetry import RecordingTelemetry

SECOND = timedelta(seconds=1)
SECONDS = st.integers(0, 5_000_000).map(lambda micros: timedelta(microseconds=micros))


@dataclass(slots=True)
class Host:
    """A host whose wall clock is ahead of the correct time by `ahead`, and a venue with the correct time."""

    ahead: timedelta = timedelta(0)
    true: datetime = MIDNIGHT
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    clock: MeasuredVenueClock = field(init=False)

    def __post_init__(self) -> None:
        started_ahead = self.ahead
        self.clock = MeasuredVenueClock(
            wall=lambda: self.true + self.ahead,
            steady=lambda: self.true + started_ahead,
            telemetry=self.telemetry,
            skew_max=5 * SECOND,
        )

    def ask(self, *, there: timedelta = timedelta(0), back: timedelta = timedelta(0)) -> None:
        """Make a request with that latency in each direction, if a measurement is due."""
        asked_at = self.clock.begin()
        assert asked_at is not None
        self.true += there
        shown = self.true.replace(microsecond=0)
        self.true += back
        self.clock.note(shown, asked_at=asked_at)
        self.true += SECOND

    @property
    def skew(self) -> float:
        return self.telemetry.gauges[Metric.CLOCK_SKEW_SECONDS]


@given(ahead=st.floats(-100_000, 100_000), there=SECONDS, back=SECONDS)
def test_a_slow_answer_never_shows_a_difference_that_there_is_not(
    ahead: float, there: timedelta, back: timedelta
) -> None:
    host = Host(ahead=timedelta(seconds=ahead))
    ahead = host.ahead.total_seconds()

    host.ask(there=there, back=back)

    assert min(0, ahead) <= host.skew <= max(0, ahead)
    assert abs(host.skew - ahead) <= (there + back + SECOND).total_seconds()


def test_synchronized_clocks_have_no_difference_for_any_latency() -> None:
    host = Host()

    for _ in range(4):
        host.ask(there=9 * SECOND, back=8 * SECOND)

    assert host.skew == 0
    assert host.clock() == host.true
    assert host.telemetry.said("clock_skewed") == []


@pytest.mark.parametrize("ahead", [-3600, -8, 8, 3600])
def test_a_wrong_clock_is_logged_once_and_again_when_it_is_right(ahead: float) -> None:
    host = Host(ahead=timedelta(seconds=ahead))
    for _ in range(5):
        host.ask()
    reported = len(host.telemetry.said("clock_skewed"))

    host.ahead = timedelta(0)
    for _ in range(5):
        host.ask()

    assert (reported, len(host.telemetry.said("clock_skewed")), len(host.telemetry.said("clock_in_step"))) == (1, 1, 1)
    assert abs(host.skew) <= 1


def test_a_wall_clock_that_is_set_moves_the_venues_time_by_nothing() -> None:
    host = Host()
    host.ask()

    host.ahead = timedelta(hours=1)

    assert host.clock() == host.true
    for _ in range(3):
        host.ask()
    assert host.skew == pytest.approx(3600, abs=1)


def test_one_answer_from_a_cache_counts_for_nothing() -> None:
    host = Host()
    for _ in range(3):
        host.ask()

    asked_at = host.clock.begin()
    assert asked_at is not None
    host.clock.note(host.true - timedelta(days=1), asked_at=asked_at)

    assert host.skew == 0
    assert host.clock() == host.true


def test_a_venue_whose_clock_was_set_is_followed_after_half_of_the_counted_answers() -> None:
    host = Host()
    for _ in range(SAMPLES_MAX):
        host.ask()
    host.ahead = timedelta(0)

    for _ in range(SAMPLES_MAX // 2 + 1):
        asked_at = host.clock.begin()
        assert asked_at is not None
        host.clock.note(host.true + timedelta(hours=1), asked_at=asked_at)
        host.true += SECOND

    assert host.clock() - host.true > timedelta(minutes=59)


def test_answers_within_a_second_are_not_measured() -> None:
    host = Host()
    asked_at = host.clock.begin()
    assert asked_at is not None
    host.clock.note(host.true, asked_at=asked_at)

    host.true += SECOND / 2
    assert host.clock.begin() is None
    host.true += SECOND / 2
    assert host.clock.begin() is not None
