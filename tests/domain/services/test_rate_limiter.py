"""One limit for all processes: which request waits, which is held back, and the cost of a venue without a limit."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

import pytest

from domain.model.errors import RequestHeldBackError, UnavailableError
from domain.model.rate_budget import WINDOW_SECONDS, RateAnnouncement, RateBudget, RequestPriority, reserves_of
from domain.ports.telemetry import Metric
from domain.services.rate_limiter import RateLimitPolicy, SharedRateLimiter
from tests.support.fakes.breaker_store import MemoryBreakerStore
from tests.support.fakes.rate_budget_store import MemoryRateBudgetStore
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.memory_loop import JumpingLoop

SHARES = dict(zip(RequestPriority, (0.05, 0.1, 0.2, 0.05, 0.05), strict=True))
WAITS = {**dict.fromkeys(RequestPriority, timedelta(seconds=2)), RequestPriority.CATCH_UP: timedelta(seconds=120)}
CANCEL, SUBMIT, LOOK_UP, CATCH_UP = tuple(RequestPriority)[1:]
EPOCH = 1_000_000.0
LIMIT = 20

Result = TypeVar("Result")


@dataclass(slots=True)
class Processes:
    """Processes that share one budget, on a loop whose clock jumps."""

    loop: JumpingLoop = field(default_factory=JumpingLoop)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    breaker: MemoryBreakerStore = field(init=False)
    store: MemoryRateBudgetStore = field(init=False)
    limiter: SharedRateLimiter = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = MemoryBreakerStore(lambda: datetime.fromtimestamp(self.seconds(), UTC))
        self.store = MemoryRateBudgetStore(self.seconds, self.breaker)
        self.limiter = self.another()

    def seconds(self) -> float:
        """Return the database's clock."""
        return EPOCH + self.loop.time()

    def another(self) -> SharedRateLimiter:
        """Return the limiter of one more process."""
        policy = RateLimitPolicy(window_seconds=WINDOW_SECONDS, shares=SHARES, waits=WAITS)
        return SharedRateLimiter(self.store, self.breaker, policy=policy, telemetry=self.telemetry)

    def run(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run to the end, once."""
        try:
            return self.loop.run_until_complete(work())
        finally:
            self.loop.close()

    async def take(self, priority: RequestPriority, *, most: int = 1_000) -> int:
        """Make requests of the class sequentially until one is held back; return their number."""
        for count in range(most):
            try:
                await self.limiter.acquire(priority)
            except RequestHeldBackError:
                return count
        return most


@pytest.fixture
def processes() -> Processes:
    """Return the limiters for a venue that announces a limit of 20 requests a minute."""
    processes = Processes()
    processes.store.budget, processes.store.version = RateBudget(limit=LIMIT), 1
    return processes


def test_a_venue_without_a_limit_costs_a_process_one_read_a_second() -> None:
    unlimited = Processes()

    async def work() -> None:
        for _ in range(1_000):
            await unlimited.limiter.acquire(SUBMIT)
            unlimited.limiter.observe(None)
            await asyncio.sleep(0.01)

    unlimited.run(work)

    assert unlimited.store.reads == pytest.approx(10, abs=1)
    assert unlimited.store.writes == 0
    assert unlimited.loop.seconds == pytest.approx(10)


def test_a_pause_holds_in_a_process_that_knows_no_limit() -> None:
    processes = Processes()
    unlimited, other = processes.limiter, processes.another()

    async def work() -> float:
        await unlimited.acquire(CATCH_UP)
        await other.pause(wait=timedelta(seconds=30), error="HTTP 429")
        await asyncio.sleep(1)
        with pytest.raises(RequestHeldBackError):
            await unlimited.acquire(LOOK_UP)
        await unlimited.acquire(CATCH_UP)
        return processes.loop.seconds

    assert processes.run(work) >= 30


def test_a_limit_holds_from_the_first_announcement_on_in_a_process_that_knew_none() -> None:
    processes = Processes()

    async def work() -> int:
        assert await processes.take(SUBMIT, most=50) == 50
        processes.limiter.observe(RateAnnouncement(limit=LIMIT))
        return await processes.take(SUBMIT)

    count = processes.run(work)

    assert count == LIMIT - sum(reserves_of(LIMIT, SHARES)) + reserves_of(LIMIT, SHARES)[SUBMIT] - 1
    assert processes.store.budget is not None


def test_a_process_that_starts_learns_the_limit_before_its_first_request(processes: Processes) -> None:
    async def work() -> int:
        await processes.take(SUBMIT)
        processes.limiter = processes.another()
        return await processes.take(SUBMIT)

    assert processes.run(work) == 0


@pytest.mark.parametrize("seed", range(20))
def test_no_interleaving_of_processes_makes_more_requests_in_a_window_than_the_limit(seed: int) -> None:
    processes, random = Processes(), Random(seed)
    limiters = [processes.limiter, processes.another(), processes.another()]
    made = list[tuple[float, RequestPriority]]()

    async def ask(limiter: SharedRateLimiter, priority: RequestPriority) -> None:
        await asyncio.sleep(random.uniform(0, 180))
        try:
            await limiter.acquire(priority)
        except RequestHeldBackError:
            return
        made.append((processes.seconds(), priority))

    async def work() -> None:
        limiters[0].observe(RateAnnouncement(limit=LIMIT))
        await limiters[0].acquire(SUBMIT)
        made.append((processes.seconds(), SUBMIT))
        asks = [(random.choice(limiters), random.choice(tuple(RequestPriority))) for _ in range(600)]
        await asyncio.gather(*(ask(limiter, priority) for limiter, priority in asks))

    processes.run(work)

    moments = [moment for moment, _ in made]
    assert all(sum(end - WINDOW_SECONDS < moment <= end for moment in moments) <= LIMIT for end in moments)
    by_class = Counter(priority for _, priority in made)
    for priority, reserve in zip(RequestPriority, reserves_of(LIMIT, SHARES), strict=True):
        assert by_class[priority] >= 2 * reserve


def test_of_concurrent_callers_the_urgent_are_first(processes: Processes) -> None:
    made = list[RequestPriority]()

    async def ask(priority: RequestPriority) -> None:
        await processes.limiter.acquire(priority)
        made.append(priority)

    async def work() -> None:
        asks = [ask(priority) for priority in (CATCH_UP, LOOK_UP, SUBMIT, CANCEL) for _ in range(9)]
        await asyncio.gather(*asks, return_exceptions=True)

    processes.run(work)

    at_once = Counter(made)
    assert at_once[CANCEL] == 9
    assert at_once[SUBMIT] > at_once[LOOK_UP] == reserves_of(LIMIT, SHARES)[LOOK_UP]


def test_a_catch_up_waits_until_the_window_ends_and_then_continues(processes: Processes) -> None:
    async def work() -> float:
        await processes.take(CATCH_UP, most=7)
        await processes.limiter.acquire(CATCH_UP)
        return processes.loop.seconds

    assert 60 <= processes.run(work) <= 70
    assert processes.telemetry.measured[Metric.RATE_LIMIT_WAIT_SECONDS][-1] >= 60


def test_a_submission_that_would_wait_too_long_is_held_back_and_the_process_knows_for_how_long(
    processes: Processes,
) -> None:
    async def work() -> tuple[timedelta, timedelta, timedelta]:
        await processes.take(SUBMIT)
        with pytest.raises(RequestHeldBackError, match="submit") as caught:
            await processes.limiter.acquire(SUBMIT)
        held = processes.limiter.held_for(SUBMIT)
        assert processes.limiter.held_for(CANCEL) == timedelta(0)
        await asyncio.sleep(caught.value.retry_after.total_seconds())
        return caught.value.retry_after, held, processes.limiter.held_for(SUBMIT)

    reported, held, later = processes.run(work)

    assert 60 <= reported.total_seconds() <= 70
    assert (held, later) == (reported, timedelta(0))
    assert processes.telemetry.counted(Metric.RATE_LIMIT_HELD_BACK, priority="submit") == 2


def test_a_pause_requested_of_one_caller_applies_to_every_class_and_process_and_the_urgent_go_first(
    processes: Processes,
) -> None:
    other, made = processes.another(), list[tuple[RequestPriority, float]]()

    async def ask(priority: RequestPriority) -> None:
        await other.acquire(priority)
        made.append((priority, round(processes.loop.seconds, 1)))

    async def work() -> None:
        await processes.limiter.pause(wait=timedelta(seconds=1), error="HTTP 429")
        await processes.limiter.pause(wait=timedelta(seconds=1), error="HTTP 429")
        await asyncio.gather(*(ask(priority) for priority in reversed(RequestPriority)))

    processes.run(work)

    assert made == [(priority, round(1 + priority * 0.2, 1)) for priority in RequestPriority]
    assert processes.telemetry.counted(Metric.VENUE_PAUSES) == 1
    (paused,) = processes.telemetry.said("venue_paused")
    assert (paused["delay_seconds"], paused["error"]) == (1, "HTTP 429")


def test_a_pause_of_a_venue_that_announces_no_limit_ends_and_costs_nothing_afterwards() -> None:
    processes = Processes()

    async def work() -> float:
        await processes.limiter.acquire(SUBMIT)
        await processes.limiter.pause(wait=timedelta(seconds=1), error="HTTP 429")
        await processes.limiter.acquire(CATCH_UP)
        ended_at, reads = processes.loop.seconds, processes.store.reads
        for _ in range(100):
            await processes.limiter.acquire(SUBMIT)
        assert processes.store.reads == reads
        return ended_at

    assert processes.run(work) == pytest.approx(1.8, abs=0.1)


def test_what_other_programs_take_with_the_same_key_is_not_there_for_us(processes: Processes) -> None:
    async def work() -> tuple[int, int]:
        processes.limiter.observe(RateAnnouncement(limit=LIMIT, remaining=3, reset=60, resets_in_seconds=30))
        return await processes.take(SUBMIT), await processes.take(CANCEL)

    assert processes.run(work) == (0, 2)  # One is reserved for a kill.


def test_an_announcement_is_as_old_as_it_is_when_it_is_stored(processes: Processes) -> None:
    async def work() -> float:
        processes.limiter.observe(RateAnnouncement(limit=LIMIT, remaining=0, reset=60, resets_in_seconds=30))
        await asyncio.sleep(29)
        await processes.limiter.acquire(SUBMIT)
        return processes.loop.seconds

    assert processes.run(work) == pytest.approx(30, abs=0.1)


def test_of_two_answers_the_one_that_leaves_less_counts(processes: Processes) -> None:
    async def work() -> int:
        for reset, remaining in ((60, 9), (60, 2), (60, 5), (0, 19)):
            reported = RateAnnouncement(limit=LIMIT, remaining=remaining, reset=reset, resets_in_seconds=30)
            processes.limiter.observe(reported)
        return await processes.take(CANCEL)

    assert processes.run(work) == 1


def test_a_limit_that_is_no_longer_announced_is_dropped_after_a_while(processes: Processes) -> None:
    async def work() -> None:
        await processes.take(SUBMIT)
        processes.limiter.observe(None)
        await asyncio.sleep(WINDOW_SECONDS / 2)
        with pytest.raises(RequestHeldBackError):
            await processes.limiter.acquire(SUBMIT)
        await asyncio.sleep(WINDOW_SECONDS)
        assert await processes.take(SUBMIT, most=500) == 500

    processes.run(work)

    assert processes.store.budget is None


def test_an_answer_without_a_limit_does_not_remove_the_limit_that_another_process_is_announced(
    processes: Processes,
) -> None:
    quiet, busy = processes.limiter, processes.another()

    async def work() -> int:
        await quiet.acquire(LOOK_UP)
        quiet.observe(None)
        await asyncio.sleep(WINDOW_SECONDS + 1)
        made = 0
        processes.limiter = busy
        for _ in range(2):
            busy.observe(RateAnnouncement(limit=LIMIT))
            made += await processes.take(SUBMIT)
        processes.limiter = quiet
        made += await processes.take(LOOK_UP, most=100)
        await asyncio.sleep(2 * WINDOW_SECONDS)
        assert await processes.take(LOOK_UP, most=100) < LIMIT
        return made

    assert processes.run(work) <= LIMIT


def test_a_write_that_another_process_was_ahead_of_is_decided_again(processes: Processes) -> None:
    processes.store.conflicts = 3

    async def work() -> None:
        await processes.limiter.acquire(SUBMIT)

    processes.run(work)

    assert processes.store.writes == 4
    assert isinstance(processes.store.budget, RateBudget)
    assert sum(sum(counts) for counts in processes.store.budget.used.values()) == 1


def test_without_the_database_nothing_is_sent_to_a_venue_with_a_limit(processes: Processes) -> None:
    processes.store.failure = processes.breaker.failure = UnavailableError()

    async def work() -> None:
        await processes.limiter.pause(wait=timedelta(seconds=1), error="HTTP 429")
        with pytest.raises(RequestHeldBackError, match="cannot be read"):
            await processes.limiter.acquire(SUBMIT)
        processes.store.failure = None
        await processes.limiter.acquire(SUBMIT)

    processes.run(work)

    assert processes.telemetry.said("pause_not_stored")


def test_what_is_left_of_the_limit_is_shown(processes: Processes) -> None:
    async def work() -> None:
        await processes.take(SUBMIT, most=5)

    processes.run(work)

    assert processes.telemetry.gauges[Metric.RATE_LIMIT_LEFT] == LIMIT - 5


def test_an_announcement_that_cannot_be_stored_fails_one_request_and_not_those_after_it(processes: Processes) -> None:
    async def work() -> None:
        processes.limiter.observe(RateAnnouncement(limit=LIMIT, remaining=5, reset=60, resets_in_seconds=30))
        processes.store.failure = TypeError("Integer exceeds 64-bit range")
        with pytest.raises(TypeError):
            await processes.limiter.acquire(SUBMIT)
        processes.store.failure = None
        await processes.limiter.acquire(SUBMIT)

    processes.run(work)

    assert processes.store.budget is not None
    assert processes.store.budget.remaining is None
