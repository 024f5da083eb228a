"""The budget of requests of one venue key in PostgreSQL: read it, and store it unless another process has since."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from db.breaker_store import PAUSED_UNTIL
from db.database import Database
from domain.model.rate_budget import RateBudget
from domain.ports.rate_limiter import RateBudgetStore, StoredBudget

# The time must be later than that of the decision in the row: clock_timestamp() is read after the snapshot, now()
# before it.
READ = f"""
SELECT extract(epoch FROM clock_timestamp())::float8 AS now, coalesce(b.version, 0) AS version, b.state::text AS state,
    extract(epoch FROM {PAUSED_UNTIL})::float8 AS paused_until
FROM (SELECT $1::text AS key, $2::text AS venue) AS asked
LEFT JOIN rate_budgets AS b ON b.key = asked.key
LEFT JOIN venue_gates AS g ON g.venue = asked.venue
"""  # noqa: S608 - no input
WRITE = """
INSERT INTO rate_budgets AS b (key, version, state, updated_at) VALUES ($1, 1, $3::text::jsonb, now())
ON CONFLICT (key) DO UPDATE SET version = b.version + 1, state = excluded.state, updated_at = excluded.updated_at
WHERE b.version = $2::bigint
RETURNING b.version
"""


@dataclass(frozen=True, slots=True)
class PostgresRateBudgetStore(RateBudgetStore):
    """The budget of one key; the pause is the venue's."""

    database: Database
    key: str
    venue: str

    async def read(self) -> StoredBudget:
        (row,) = await self.database.fetch(READ, self.key, self.venue)
        return StoredBudget(
            budget=None if row["state"] is None else _budget_of(orjson.loads(row["state"])),
            version=row["version"],
            now=row["now"],
            paused_until=row["paused_until"],
        )

    async def write(self, budget: RateBudget | None, *, version: int) -> bool:
        state = None if budget is None else orjson.dumps(_state_of(budget)).decode()
        return bool(await self.database.fetch(WRITE, self.key, version, state))


def _state_of(budget: RateBudget) -> dict[str, object]:
    return {
        "limit": budget.limit,
        "window_seconds": budget.window_seconds,
        "used": {str(slot): list(counts) for slot, counts in budget.used.items()},
        "remaining": budget.remaining,
        "reset": budget.reset,
        "remaining_until": budget.remaining_until,
        "announced_at": budget.announced_at,
    }


def _budget_of(state: Mapping[str, Any]) -> RateBudget:
    return RateBudget(
        limit=state["limit"],
        window_seconds=state["window_seconds"],
        used={int(slot): tuple(counts) for slot, counts in state["used"].items()},
        remaining=state["remaining"],
        reset=state["reset"],
        remaining_until=state["remaining_until"],
        announced_at=state.get("announced_at", 0.0),  # An earlier version stored none.
    )
