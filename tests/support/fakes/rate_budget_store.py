"""A budget of requests in memory, for several processes of one test."""

from collections.abc import Callable
from dataclasses import dataclass

from domain.model.rate_budget import RateBudget
from domain.ports.rate_limiter import StoredBudget
from tests.support.fakes.breaker_store import MemoryBreakerStore


@dataclass(slots=True)
class MemoryRateBudgetStore:
    """RateBudgetStore. `seconds` is the database's clock, `breaker` has the pause; `failure` is raised by every
    call, `reads` and `writes` count them, and the next `conflicts` writes fail with a version conflict.
    """

    seconds: Callable[[], float]
    breaker: MemoryBreakerStore
    budget: RateBudget | None = None
    version: int = 0
    failure: Exception | None = None
    reads: int = 0
    writes: int = 0
    conflicts: int = 0

    async def read(self) -> StoredBudget:
        self.reads += 1
        if self.failure is not None:
            raise self.failure
        until = self.breaker.paused_until
        return StoredBudget(
            budget=self.budget,
            version=self.version,
            now=self.seconds(),
            paused_until=None if until is None else until.timestamp(),
        )

    async def write(self, budget: RateBudget | None, *, version: int) -> bool:
        self.writes += 1
        if self.failure is not None:
            raise self.failure
        if self.conflicts or version != self.version:
            self.conflicts = max(self.conflicts - 1, 0)
            return False
        self.budget, self.version = budget, self.version + 1
        return True
