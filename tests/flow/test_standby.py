"""Two ingests: one leads, the other takes over, and an old leader that resumes writes nothing."""

import signal
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.processes import eventually
from tests.support.system import System, open_system

LEASE_SECONDS = 2.0
TAKEOVER_SECONDS = 10.0
HEADS = ("ingest", "ingest-2")
SETTINGS = {
    "INGEST_LEASE_SECONDS": str(LEASE_SECONDS),
    "INGEST_LEASE_RENEW_SECONDS": "0.5",
    "CATCH_UP_UNHEARD_SECONDS": "1",
    "STREAM_RECONNECT_MAX_SECONDS": "1",
}


@pytest.fixture
async def alone(database_url: str, redis_url: str) -> AsyncIterator[System]:
    """Start a system with two ingests, of which the first leads."""
    async with open_system(database_url=database_url, redis_url=redis_url, settings=SETTINGS) as system:
        await system.start("api", "worker", "ingest")
        await leads(system, "ingest", within_seconds=2)
        await system.start("ingest-2")
        yield system


async def leads(system: System, head: str, *, within_seconds: float) -> None:
    """Wait until that ingest leads."""

    async def is_leader() -> bool:
        return await system.metric("ingest_leader", head=head) == 1

    await eventually(is_leader, within_seconds=within_seconds, what=f"{head} leads")


async def test_a_leader_that_is_killed_is_replaced_within_ten_seconds_and_nothing_is_missed(alone: System) -> None:
    order_id = await alone.placed_id()
    placed = await alone.becomes(order_id, "PLACED")
    assert await alone.metric("ingest_leader", head="ingest-2") == 0
    assert await alone.metric("stream_connected", head="ingest-2") == 0

    killed_at = time.monotonic()
    await alone.kill("ingest")
    await alone.control("POST", "fills", {"order_id": placed["venueOrderId"], "qty": "90", "price": "190"})

    await alone.becomes(order_id, "FILLED", within_seconds=TAKEOVER_SECONDS)
    assert time.monotonic() - killed_at < TAKEOVER_SECONDS
    assert await alone.metric("ingest_leader", head="ingest-2") == 1


async def test_a_leader_that_stops_releases_its_lease_immediately(alone: System) -> None:
    await alone.end("ingest")

    await leads(alone, "ingest-2", within_seconds=LEASE_SECONDS / 2)
    await alone.start("ingest")
    await alone.processes["ingest"].shows("standing_by", within_seconds=2)


async def test_a_leader_that_was_paused_past_its_lease_writes_nothing_and_stands_by(
    alone: System, database_url: str
) -> None:
    order_id = await alone.placed_id()
    placed = await alone.becomes(order_id, "PLACED")
    # The report is in the socket's buffer of the paused leader, which reads it first when it resumes.
    paused = alone.processes["ingest"]
    paused.send(signal.SIGSTOP)
    await alone.control("POST", "fills", {"order_id": placed["venueOrderId"], "qty": "90", "price": "190"})
    await leads(alone, "ingest-2", within_seconds=TAKEOVER_SECONDS)
    await alone.becomes(order_id, "FILLED", within_seconds=TAKEOVER_SECONDS)

    paused.send(signal.SIGCONT)

    await paused.shows("standing_by", within_seconds=TAKEOVER_SECONDS)
    await paused.shows("leadership_lost", within_seconds=1)
    assert await alone.metric("reports_recorded_total", head="ingest") <= 1  # The acknowledgement, before the pause.
    assert await alone.metric("ingest_leader", head="ingest-2") == 1
    assert await _versions(database_url) == [1, 2, 3]
    # The old connection occupied the venue's only connection until now.
    await eventually(
        lambda: _is_connected(alone), within_seconds=TAKEOVER_SECONDS, what="the new leader has the stream"
    )


async def _is_connected(system: System) -> bool:
    return await system.metric("stream_connected", head="ingest-2") == 1


async def _versions(database_url: str) -> list[int]:
    connection = await asyncpg.connect(database_url)
    try:
        return [row["version"] for row in await connection.fetch("SELECT version FROM order_changes ORDER BY version")]
    finally:
        await connection.close()
