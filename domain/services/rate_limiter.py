"""One limit of requests for all processes of a venue key: acquire from the shared budget, wait within a bound, or fail.

Grants are stored first, by compare and swap in the database, so no interleaving of processes grants more than the
limit. Concurrent requests of one process share one decision. A venue that announces no limit costs each process one
read a second at most, which returns the pauses of others, and one comparison for each request.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from domain.model.errors import RequestHeldBackError, TransientError
from domain.model.rate_budget import RateAnnouncement, RateBudget, RequestPriority, Shares
from domain.ports.breaker_store import BreakerStore
from domain.ports.rate_limiter import RateBudgetStore, StoredBudget
from domain.ports.telemetry import Metric, Telemetry
from domain.services.batcher import Batcher

DECIDED_AT_ONCE_MAX = 1_000
WAITING_MAX = 10_000
CONFLICTS_MAX = 20
CONFLICT_WAIT_MAX_SECONDS = 0.01
WAIT_MIN_SECONDS = 0.02
WAIT_WITHOUT_DATABASE = timedelta(seconds=1)
UNLIMITED_SECONDS = 1.0
"""How long a process makes requests without a read after one has shown no limit and no pause."""
RESUME_STEP_SECONDS = 0.2
"""How much later each class may go on after a pause than the one before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitPolicy:
    """The window of the venue's limit, the minimum share of each class, and how long a request of it waits before
    it is held back. A limit that was not announced to any process for a window is dropped.
    """

    window_seconds: float
    shares: Shares
    waits: Mapping[RequestPriority, timedelta]


class SharedRateLimiter:
    """The port RateLimiter over the budget that all processes share."""

    def __init__(
        self, store: RateBudgetStore, breaker: BreakerStore, *, policy: RateLimitPolicy, telemetry: Telemetry
    ) -> None:
        self._store = store
        self._breaker = breaker
        self._policy = policy
        self._telemetry = telemetry
        self._deciding: Batcher[RequestPriority, float] = Batcher(
            self._decide, batch_max_items=DECIDED_AT_ONCE_MAX, queue_max_items=WAITING_MAX
        )
        self._unlimited_until = 0.0
        self._news: tuple[RateAnnouncement, float] | None = None
        self._unannounced_since: float | None = None
        self._held_until: dict[RequestPriority, float] = {}

    async def acquire(self, priority: RequestPriority) -> None:
        """Return when the request may be made. Raises RequestHeldBackError when that would take too long."""
        clock = asyncio.get_running_loop().time
        started_at = clock()
        if started_at < self._unlimited_until:
            return
        ends_at = started_at + self._policy.waits[priority].total_seconds()
        while (wait := await self._ask(priority)) > 0:
            if clock() + wait > ends_at:
                self._hold_back(priority, wait)
            await asyncio.sleep(max(wait, WAIT_MIN_SECONDS))
        self._held_until.pop(priority, None)
        self._telemetry.observe(Metric.RATE_LIMIT_WAIT_SECONDS, clock() - started_at, priority=priority.label)

    def held_for(self, priority: RequestPriority) -> timedelta:
        """Return how long requests of the class would be held back, as far as this process knows."""
        if not self._held_until:
            return timedelta(0)
        left = self._held_until.get(priority, 0.0) - asyncio.get_running_loop().time()
        return timedelta(seconds=max(left, 0.0))

    def observe(self, announcement: RateAnnouncement | None) -> None:
        """Store the announcement of an answer; it is written with the next decision."""
        if announcement is None:
            if self._unannounced_since is None:
                self._unannounced_since = asyncio.get_running_loop().time()
            return
        self._unannounced_since = None
        self._unlimited_until = 0.0
        if self._news is None or not _is_newer(self._news[0], announcement):
            self._news = announcement, asyncio.get_running_loop().time()

    async def pause(self, *, wait: timedelta, error: str) -> None:
        """Hold back every class, in all processes, for the pause that the venue requests."""
        self._unlimited_until = 0.0
        try:
            update = await self._breaker.pause(wait=wait, error=error)
        except TransientError as failure:
            self._telemetry.warning("pause_not_stored", error=str(failure), next="the venue will request it again")
            return
        if update.is_new:
            self._telemetry.count(Metric.VENUE_PAUSES)
            self._telemetry.warning(
                "venue_paused",
                delay_seconds=round(update.held_for.total_seconds(), 3),
                error=error,
                next="no process makes a request until then; cancels go first",
            )

    async def _ask(self, priority: RequestPriority) -> float:
        try:
            return await self._deciding.submit(priority)
        except TransientError as error:
            # Without the shared count any process could exceed the limit for all of them.
            raise RequestHeldBackError(
                f"the rate limit cannot be read: {error}", retry_after=WAIT_WITHOUT_DATABASE
            ) from error
        except Exception:
            self._news = None  # What cannot be stored must not fail every later request too.
            raise

    def _hold_back(self, priority: RequestPriority, wait: float) -> None:
        self._held_until[priority] = asyncio.get_running_loop().time() + wait
        self._telemetry.count(Metric.RATE_LIMIT_HELD_BACK, priority=priority.label)
        raise RequestHeldBackError(
            f"the rate limit leaves nothing for a {priority.label} request; held back for {wait:.1f} s",
            retry_after=timedelta(seconds=wait),
        )

    async def _decide(self, priorities: Sequence[RequestPriority]) -> Sequence[float]:
        """Return how long each must wait; 0 for those whose grant is stored. Raises UnavailableError."""
        for _ in range(CONFLICTS_MAX):
            stored, news = await self._store.read(), self._news
            budget = self._corrected(stored, news)
            budget, waits = self._grant(budget, priorities, stored=stored)
            if budget != stored.budget and not await self._store.write(budget, version=stored.version):
                await asyncio.sleep(random.uniform(0, CONFLICT_WAIT_MAX_SECONDS))  # noqa: S311 - spreads rivals
                continue
            if self._news is news:
                self._news = None
            if budget is None and self._news is None and not any(waits):
                self._unlimited_until = asyncio.get_running_loop().time() + UNLIMITED_SECONDS
            if budget is not None:
                self._telemetry.set(Metric.RATE_LIMIT_LEFT, budget.left(now=stored.now))
            return waits
        return [CONFLICT_WAIT_MAX_SECONDS] * len(priorities)

    def _corrected(self, stored: StoredBudget, news: tuple[RateAnnouncement, float] | None) -> RateBudget | None:
        """Return the budget with what the last answers announced."""
        now, window = asyncio.get_running_loop().time(), self._policy.window_seconds
        if news is None:
            return None if self._is_gone(stored) else stored.budget
        announcement, at = news
        announcement = replace(announcement, resets_in_seconds=max(announcement.resets_in_seconds - (now - at), 0.0))
        budget = stored.budget
        if budget is None or budget.window_seconds != window:
            budget = RateBudget(limit=announcement.limit, window_seconds=window)
        return budget.announced(announcement, now=stored.now)

    def _is_gone(self, stored: StoredBudget) -> bool:
        """Return whether no process received a limit for a window since this one received an answer without."""
        if stored.budget is None or self._unannounced_since is None:
            return False
        unannounced_seconds = asyncio.get_running_loop().time() - self._unannounced_since
        if abs(stored.now - stored.budget.announced_at) < unannounced_seconds:
            self._unannounced_since = None
            return False
        return unannounced_seconds > self._policy.window_seconds

    def _grant(
        self, budget: RateBudget | None, priorities: Sequence[RequestPriority], *, stored: StoredBudget
    ) -> tuple[RateBudget | None, Sequence[float]]:
        """Grant what the budget allows, the most urgent first."""
        waits = [0.0] * len(priorities)
        for place in sorted(range(len(priorities)), key=priorities.__getitem__):
            priority = priorities[place]
            waits[place] = _paused_for(priority, stored)
            if budget is None or waits[place]:
                continue
            waits[place] = budget.wait_seconds(priority, shares=self._policy.shares, now=stored.now)
            if not waits[place]:
                budget = budget.taken(priority, now=stored.now)
        return budget, waits


def _paused_for(priority: RequestPriority, stored: StoredBudget) -> float:
    if stored.paused_until is None:
        return 0.0
    return max(stored.paused_until + priority * RESUME_STEP_SECONDS - stored.now, 0.0)


def _is_newer(one: RateAnnouncement, other: RateAnnouncement) -> bool:
    """Return whether the first is of a later window, or of the same with less left."""
    if one.reset != other.reset or one.remaining is None or other.remaining is None:
        return one.reset > other.reset
    return one.remaining <= other.remaining
