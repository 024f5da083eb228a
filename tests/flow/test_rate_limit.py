"""The exchange's limit of requests, shared by a worker and an ingest that catches up all the time."""

from collections.abc import AsyncIterator

import pytest

from tests.support.processes import eventually
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import System, open_system

LIMIT = 60
ORDERS = 12
ALWAYS_ASKING = {
    "CATCH_UP_EVERY_SECONDS": "0.02",
    "CATCH_UP_PAUSE_SECONDS": "0.01",
    "RECONCILE_EVERY_SECONDS": "0.1",
    "RECONCILE_SILENT_SECONDS": "0.1",
    "PLACEMENT_BACKOFF_SECONDS": "0.2",
    "SWEEP_OVERDUE_SECONDS": "0.5",
}
CATCH_UPS = 5
WITHIN_SECONDS = 12.0


@pytest.fixture
async def system(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[System]:
    """Start a system whose exchange accepts 60 requests a minute, early in a window."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    async with open_system(database_url=database_url, redis_url=redis_url, settings=ALWAYS_ASKING) as system:
        await system.control("PUT", "faults", {"requests_per_minute": LIMIT})
        yield system


async def test_a_catch_up_that_never_ends_leaves_submissions_and_cancels_their_share(system: System) -> None:
    await system.start("api", "worker", "ingest")
    await eventually(lambda: _has_caught_up(system), within_seconds=WITHIN_SECONDS, what="ingest asks all the time")

    order_ids = [await system.placed_id() for _ in range(ORDERS)]
    for order_id in order_ids:
        await system.becomes(order_id, "PLACED", within_seconds=WITHIN_SECONDS)
    await system.cancel(order_ids[0])
    canceled = await system.becomes(order_ids[0], "CANCELED", within_seconds=WITHIN_SECONDS)

    assert canceled["placement"]["attempts"] == 1
    for head in ("worker", "ingest"):
        assert await system.metric("venue_pauses_total", head=head) == 0, "the exchange had to refuse a request"


async def _has_caught_up(system: System) -> bool:
    return await system.metric("catch_ups_total", head="ingest") >= CATCH_UPS
