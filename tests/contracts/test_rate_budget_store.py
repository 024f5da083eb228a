"""RateBudgetStore: one budget for all processes, written by compare and swap."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from domain.model.errors import RequestHeldBackError
from domain.model.rate_budget import WINDOW_SECONDS, RateBudget, RequestPriority, reserves_of
from domain.ports.breaker_store import BreakerStore
from domain.ports.rate_limiter import RateBudgetStore
from domain.services.rate_limiter import RateLimitPolicy, SharedRateLimiter
from tests.contracts.stores import Adapters
from tests.support.fakes.telemetry import RecordingTelemetry

SHARES = dict(zip(RequestPriority, (0.05, 0.1, 0.2, 0.05, 0.05), strict=True))
LIMIT = 40


@pytest.fixture
def budgets(adapters: Adapters) -> RateBudgetStore:
    """Return the store under test."""
    return adapters.budgets


@pytest.fixture
def breaker(adapters: Adapters) -> BreakerStore:
    """Return the breaker that has the venue's pause."""
    return adapters.breaker


async def test_nothing_is_stored_before_a_limit_is_announced(budgets: RateBudgetStore) -> None:
    stored = await budgets.read()

    assert (stored.budget, stored.version, stored.paused_until) == (None, 0, None)
    assert stored.now > 1_700_000_000


async def test_a_budget_is_read_as_it_was_written(budgets: RateBudgetStore) -> None:
    budget = RateBudget(
        limit=200,
        remaining=7,
        reset=1_767_600_060.0,
        remaining_until=1_767_600_060.5,
        announced_at=1_767_600_000.5,
    )
    budget = budget.taken(RequestPriority.SUBMIT, now=1_767_600_000.25)

    is_written = await budgets.write(budget, version=0)

    stored = await budgets.read()
    assert is_written
    assert (stored.budget, stored.version) == (budget, 1)


async def test_of_two_writes_over_the_same_version_one_is_refused(budgets: RateBudgetStore) -> None:
    first, second = RateBudget(limit=200), RateBudget(limit=100)

    written = [await budgets.write(first, version=0), await budgets.write(second, version=0)]
    later = await budgets.write(second, version=1)

    assert (written, later) == ([True, False], True)
    stored = await budgets.read()
    assert (stored.budget, stored.version) == (second, 2)


async def test_a_limit_that_is_gone_leaves_its_version(budgets: RateBudgetStore) -> None:
    await budgets.write(RateBudget(limit=200), version=0)

    assert await budgets.write(None, version=1)

    stored = await budgets.read()
    assert (stored.budget, stored.version) == (None, 2)


async def test_the_venues_pause_is_read_with_the_budget(budgets: RateBudgetStore, breaker: BreakerStore) -> None:
    await breaker.pause(wait=timedelta(seconds=30), error="HTTP 429")

    stored = await budgets.read()

    assert stored.paused_until is not None
    assert 25 < stored.paused_until - stored.now <= 30


async def test_concurrent_processes_get_no_more_than_the_limit_and_each_class_its_share(
    budgets: RateBudgetStore, breaker: BreakerStore
) -> None:
    await budgets.write(RateBudget(limit=LIMIT), version=0)
    policy = RateLimitPolicy(
        window_seconds=WINDOW_SECONDS,
        shares=SHARES,
        waits=dict.fromkeys(RequestPriority, timedelta(seconds=1)),
    )
    processes = [SharedRateLimiter(budgets, breaker, policy=policy, telemetry=RecordingTelemetry()) for _ in range(4)]
    made = Counter[RequestPriority]()

    async def ask(limiter: SharedRateLimiter, priority: RequestPriority) -> None:
        try:
            await limiter.acquire(priority)
        except RequestHeldBackError:
            return
        made[priority] += 1

    for priority in (RequestPriority.CATCH_UP, RequestPriority.SUBMIT, *RequestPriority):
        await asyncio.gather(*(ask(limiter, priority) for limiter in processes for _ in range(LIMIT // 2)))

    assert made.total() == LIMIT
    for priority, reserve in zip(RequestPriority, reserves_of(LIMIT, SHARES), strict=True):
        assert made[priority] >= reserve
    stored = await budgets.read()
    assert stored.budget is not None
    assert stored.budget.left(now=stored.now) == 0
