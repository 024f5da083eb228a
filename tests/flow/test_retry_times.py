"""Retries run when they are due, and a caller that waits has the first attempt's outcome, not the last one's."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from statistics import median

import pytest

from tests.support.processes import eventually
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system

ORDERS = 12
SLOW_RETRIES = {"PLACEMENT_BACKOFF_SECONDS": "3"}
LATE_MEDIAN_MAX_MS = 150
WITHIN_SECONDS = 15.0
WAIT_MS = 10_000
ANSWERED_SECONDS = 3.0
MANY = 1_000
NOT_EXECUTED = {"code": 50310000, "message": "not executed: try again"}


@pytest.fixture(scope="module")
async def system(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[System]:
    """Provide a system whose retries are due late enough to be seen waiting on a busy machine."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    async with open_system(database_url=database_url, redis_url=redis_url, settings=SLOW_RETRIES) as opened:
        await opened.start("api", "worker", "ingest")
        yield opened


@pytest.fixture(autouse=True)
async def _exchange_that_answers_again(system: System) -> AsyncIterator[None]:
    """Leave the exchange answering by itself."""
    yield
    await system.control("PUT", "answers", [])


async def test_a_retry_of_a_submission_runs_when_it_is_due(system: System) -> None:
    await _not_executed(system, times=ORDERS)
    order_ids = [await system.placed_id() for _ in range(ORDERS)]

    late = sorted(await asyncio.gather(*(_lateness(system, order_id) for order_id in order_ids)))

    assert median(late) <= LATE_MEDIAN_MAX_MS, late
    assert late[0] >= 0, late


async def test_a_retry_of_a_cancel_request_runs_when_it_is_due(system: System) -> None:
    order_id = await system.placed_id()
    venue_order_id = (await system.becomes(order_id, "PLACED"))["venueOrderId"]
    path = f"/v2/orders/{venue_order_id}"
    unavailable = {"method": "DELETE", "path": path, "times": 1, "status": 503, "body": NOT_EXECUTED}
    await system.control("PUT", "answers", [unavailable])

    began = time.monotonic()
    await system.cancel(order_id)

    async def sent_again() -> bool:
        sent = (await system.control("GET", "requests?limit=1000"))["requests"]
        return len([one for one in sent if (one["method"], one["path"]) == ("DELETE", path)]) >= 2

    await eventually(sent_again, within_seconds=WITHIN_SECONDS, what="the cancel request is sent again")
    # CANCEL_RETRY_SECONDS is 1 second.
    assert 1.0 <= time.monotonic() - began < 2.0  # Two seconds later, where it waits for a schedule of whole seconds.


async def test_a_caller_that_waits_has_the_outcome_of_the_first_attempt(system: System) -> None:
    await _not_executed(system, times=MANY)

    began = time.monotonic()
    placed = await system.place(wait_ms=WAIT_MS)

    assert time.monotonic() - began < ANSWERED_SECONDS
    assert (placed["__typename"], placed["order"]["status"]) == ("PlaceOrderSuccess", "PENDING")
    assert placed["order"]["placement"]["attempts"] == 1
    assert NOT_EXECUTED["message"] in placed["order"]["placement"]["lastError"]


async def _not_executed(system: System, *, times: int) -> None:
    """Let the exchange execute none of the next so many submissions."""
    refusal = {"method": "POST", "path": "/v2/orders", "times": times, "status": 503, "body": NOT_EXECUTED}
    await system.control("PUT", "answers", [refusal])


async def _lateness(system: System, order_id: str) -> float:
    """How many milliseconds after its time the order's second attempt began."""

    async def waits() -> Json | None:
        placement: Json = (await system.order(order_id))["placement"]
        return placement if placement["attempts"] == 1 and placement["nextAttemptAt"] else None

    async def tried_again() -> Json | None:
        placement: Json = (await system.order(order_id))["placement"]
        return placement if placement["attempts"] == 2 else None

    due = (await eventually(waits, within_seconds=WITHIN_SECONDS, what="the first attempt fails"))["nextAttemptAt"]
    again = await eventually(tried_again, within_seconds=WITHIN_SECONDS, what="the second attempt begins")
    late = datetime.fromisoformat(again["lastAttemptAt"]) - datetime.fromisoformat(due)
    return late.total_seconds() * 1_000
