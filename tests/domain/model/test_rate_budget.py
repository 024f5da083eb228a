"""The budget of requests: never more than the limit in any window, a minimum for each class, the urgent first."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.rate_budget import (
    SLOTS_COUNTED,
    SLOTS_OF_A_WINDOW,
    WINDOW_SECONDS,
    RateAnnouncement,
    RateBudget,
    RequestPriority,
    reserves_of,
)

KILL, CANCEL, SUBMIT, LOOK_UP, CATCH_UP = RequestPriority
SHARES = {KILL: 0.05, CANCEL: 0.1, SUBMIT: 0.2, LOOK_UP: 0.05, CATCH_UP: 0.05}
START = 1_000_000.0
COUNTED_SECONDS = (SLOTS_COUNTED + 1) * WINDOW_SECONDS / SLOTS_OF_A_WINDOW

pauses = st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.0, 2.5, 7.0, 30.0, 59.9, 60.0])
asked = st.lists(st.tuples(st.sampled_from(RequestPriority), pauses), min_size=20, max_size=300)


def wait(budget: RateBudget, priority: RequestPriority, *, now: float = START) -> float:
    return budget.wait_seconds(priority, shares=SHARES, now=now)


def take_all(
    budget: RateBudget, priority: RequestPriority, *, now: float = START, most: int = 10_000
) -> tuple[RateBudget, int]:
    """Acquire until nothing is left for the class, and return the count."""
    count = 0
    while count < most and not wait(budget, priority, now=now):
        budget, count = budget.taken(priority, now=now), count + 1
    return budget, count


@given(limit=st.integers(1, 60), asked=asked)
def test_no_window_ever_holds_more_requests_than_the_limit(
    limit: int, asked: Sequence[tuple[RequestPriority, float]]
) -> None:
    budget, now, granted = RateBudget(limit=limit), START, list[float]()

    for priority, pause in asked:
        now += pause
        if not wait(budget, priority, now=now):
            budget = budget.taken(priority, now=now)
            granted.append(now)

    for end in granted:
        assert sum(end - WINDOW_SECONDS < moment <= end for moment in granted) <= limit


@given(limit=st.integers(5, 60), asked=asked, starved=st.sampled_from(RequestPriority))
def test_a_class_gets_its_minimum_share_for_any_use_of_the_others(
    limit: int, asked: Sequence[tuple[RequestPriority, float]], starved: RequestPriority
) -> None:
    budget, now = RateBudget(limit=limit), START
    for priority, pause in asked:
        now += pause
        if priority is not starved:
            budget, _ = take_all(budget, priority, now=now)

    _, count = take_all(budget, starved, now=now)

    assert count >= reserves_of(limit, SHARES)[starved] >= 1


@given(limit=st.integers(5, 60), seconds=st.integers(70, 200))
def test_every_class_gets_its_minimum_share_in_every_window_under_constant_load_of_all(
    limit: int, seconds: int
) -> None:
    budget, granted = RateBudget(limit=limit), list[tuple[float, RequestPriority]]()
    for second in range(seconds):
        for priority in RequestPriority:
            now = START + second
            while not wait(budget, priority, now=now):
                budget = budget.taken(priority, now=now)
                granted.append((now, priority))

    end = START + seconds
    last = Counter(priority for moment, priority in granted if moment >= end - COUNTED_SECONDS)
    for priority, reserve in zip(RequestPriority, reserves_of(limit, SHARES), strict=True):
        assert last[priority] >= reserve


@given(limit=st.integers(1, 60), asked=asked, priority=st.sampled_from(RequestPriority))
def test_a_single_caller_that_waits_the_returned_time_gets_its_request(
    limit: int, asked: Sequence[tuple[RequestPriority, float]], priority: RequestPriority
) -> None:
    budget, now = RateBudget(limit=limit), START
    for each, pause in asked:
        now += pause
        budget, _ = take_all(budget, each, now=now, most=3)

    reported = wait(budget, priority, now=now)

    assert reported <= COUNTED_SECONDS
    assert wait(budget, priority, now=now + reported) == 0


@given(shares=st.lists(st.floats(0, 1), min_size=5, max_size=5), limit=st.integers(1, 1000))
def test_the_reserves_never_exceed_the_limit(shares: Sequence[float], limit: int) -> None:
    total = max(sum(shares), 1.0)
    parts = {priority: share / total for priority, share in zip(RequestPriority, shares, strict=True)}

    assert sum(reserves_of(limit, parts)) <= limit


def test_the_whole_limit_may_be_used_at_once_except_the_reserves() -> None:
    _, count = take_all(RateBudget(limit=200), SUBMIT)

    kept = sum(reserves_of(200, SHARES)) - reserves_of(200, SHARES)[SUBMIT]
    assert (count, kept) == (139, 50)


def test_a_lower_class_leaves_more_to_higher_ones() -> None:
    counts = [take_all(RateBudget(limit=200), priority)[1] for priority in (SUBMIT, LOOK_UP, CATCH_UP)]

    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 3


def test_more_than_their_share_is_left_to_the_urgent_when_the_others_have_taken_all_they_may() -> None:
    budget = RateBudget(limit=200)
    for priority in (CATCH_UP, LOOK_UP, SUBMIT):
        budget, _ = take_all(budget, priority)

    _, canceled = take_all(budget, CANCEL)

    assert canceled == reserves_of(200, SHARES)[CANCEL] + 11


def test_an_announced_remainder_below_the_count_holds_until_the_reset() -> None:
    budget = RateBudget(limit=200).announced(
        RateAnnouncement(limit=200, remaining=0, reset=60, resets_in_seconds=12), now=START
    )

    assert [wait(budget, priority) for priority in RequestPriority] == [12] * 5
    assert wait(budget, CATCH_UP, now=START + 12) == 0


def test_the_rest_of_the_limit_is_for_the_urgent() -> None:
    budget = RateBudget(limit=200).announced(
        RateAnnouncement(limit=200, remaining=20, reset=60, resets_in_seconds=12), now=START
    )

    assert [wait(budget, priority) for priority in RequestPriority] == [0, 0, 12, 12, 12]


@pytest.mark.parametrize(
    ("remaining", "reset", "left"), [(50, 60.0, 49), (7, 60.0, 7), (100, 120.0, 100), (3, 1.0, 49)]
)
def test_an_announcement_lowers_the_rest_of_its_window_and_a_later_window_starts_fresh(
    remaining: int, reset: float, left: int
) -> None:
    first = RateAnnouncement(limit=200, remaining=50, reset=60, resets_in_seconds=30)
    budget = RateBudget(limit=200).announced(first, now=START).taken(SUBMIT, now=START)

    reported = RateAnnouncement(limit=200, remaining=remaining, reset=reset, resets_in_seconds=30)

    assert budget.announced(reported, now=START).left(now=START) == left


def test_a_lower_limit_applies_immediately() -> None:
    budget, _ = take_all(RateBudget(limit=200), SUBMIT)

    lowered = budget.announced(RateAnnouncement(limit=20), now=START)

    assert lowered.left(now=START) == 0
    assert wait(lowered, KILL) > 0


def test_a_database_clock_that_is_set_back_delays_nothing_for_long() -> None:
    budget, _ = take_all(RateBudget(limit=20), SUBMIT, now=START + 86_400)

    assert wait(budget, SUBMIT) == 0


@pytest.mark.parametrize("priority", RequestPriority)
def test_an_announcement_before_the_database_clock_was_set_back_delays_nothing(priority: RequestPriority) -> None:
    reported = RateAnnouncement(limit=200, remaining=0, reset=START + 30, resets_in_seconds=30)
    budget = RateBudget(limit=200).announced(reported, now=START)

    assert wait(budget, priority, now=START - 3_600) == 0
    assert wait(budget, priority, now=START) == 30


def test_use_by_others_counts_again_after_a_reset_far_in_the_future_was_dropped() -> None:
    absurd = RateAnnouncement(limit=200, remaining=150, reset=START * 1_000, resets_in_seconds=60)
    usual = RateAnnouncement(limit=200, remaining=0, reset=START + 120, resets_in_seconds=60)
    budget = RateBudget(limit=200).announced(absurd, now=START)

    assert budget.announced(usual, now=START + 59).left(now=START + 59) == 150
    assert budget.announced(usual, now=START + 60).left(now=START + 60) == 0


def test_an_announced_window_lasts_no_longer_than_the_windows_of_the_limit() -> None:
    reported = RateAnnouncement(limit=200, remaining=0, reset=START + 600, resets_in_seconds=600)

    assert wait(RateBudget(limit=200).announced(reported, now=START), KILL) == WINDOW_SECONDS


def test_only_the_counted_slots_are_kept() -> None:
    budget = RateBudget(limit=20)
    for second in range(1_000):
        budget, _ = take_all(budget, SUBMIT, now=START + second, most=1)

    assert len(budget.used) <= SLOTS_COUNTED + 1
