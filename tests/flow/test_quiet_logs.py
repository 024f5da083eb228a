"""An outage in the log of real processes: a few lines with counts, not one for each order."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.processes import eventually
from tests.support.system import System, open_system

ORDERS = 40
QUICK = {
    "LOG_GATHER_SECONDS": "0.4",
    "PLACEMENT_BACKOFF_SECONDS": "0.2",
    "PLACEMENT_MAX_ATTEMPTS": "100",
    # Otherwise the circuit breaker makes the log quiet, since no attempt is made.
    "PLACEMENT_CIRCUIT_FAILURES": "100000",
}


@pytest.fixture
async def alone(database_url: str, redis_url: str) -> AsyncIterator[System]:
    """Start a system whose exchange a test stops."""
    async with open_system(database_url=database_url, redis_url=redis_url, settings=QUICK) as system:
        await system.start("api", "worker")
        yield system


async def test_an_outage_of_the_exchange_is_logged_at_its_start_meanwhile_and_at_its_end(alone: System) -> None:
    await alone.control("PUT", "faults", {"down": True})
    log = alone.processes["worker"].output

    ids = await asyncio.gather(*(alone.placed_id() for _ in range(ORDERS)))
    await eventually(lambda: _attempts(alone, 3 * ORDERS), within_seconds=20, what="every order was tried again")
    counted = await alone.processes["worker"].shows("repeated ", within_seconds=5)
    await alone.control("PUT", "faults", {"down": False})
    for order_id in ids:
        await alone.becomes(order_id, "PLACED")
    ended = await alone.processes["worker"].shows("repeats_ended", within_seconds=5)

    assert "of=placement_postponed" in counted
    assert "times=" in counted
    assert "of=placement_postponed" in ended
    assert len([line for line in log if "placement_postponed" in line]) < ORDERS / 2, "\n".join(log)


async def _attempts(system: System, wanted: int) -> bool:
    return await system.metric("submission_attempts_total", head="worker") >= wanted
