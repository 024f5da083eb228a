"""Refusals and absence need proof: a gateway's answer in place of the exchange does not end a live order."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import pytest

from tests.support.processes import eventually
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system

QUICK = {
    "PLACEMENT_MAX_ATTEMPTS": "3",
    "PLACEMENT_BACKOFF_SECONDS": "0.1",
    # Above the settle time, as by default: after an answer about the key the next look-up is no longer too early.
    "PLACEMENT_BACKOFF_MAX_SECONDS": "0.5",
    "PLACEMENT_TIMEOUT_SECONDS": "0.5",
    "PLACEMENT_SETTLE_SECONDS": "0.3",
    "PLACEMENT_CIRCUIT_FAILURES": "1000",
    "SWEEP_EVERY_SECONDS": "0.1",
    "SWEEP_OVERDUE_SECONDS": "0.1",
}
WITHIN_SECONDS = 15.0
LOOK_UPS_FAIL_FOR_SECONDS = 12.0
NOT_FOUND = 404
MANY = 100_000
NO_ROUTE = {"code": 40410000, "message": "endpoint not found"}
REFUSAL = {"code": 40310000, "message": "insufficient buying power"}
KINDS = "query Kinds($id: ID!) { order(id: $id) { history(first: 50) { nodes { kind status } } } }"


@pytest.fixture(scope="module")
async def shared_system(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[System]:
    """One system for all of these tests."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    async with open_system(database_url=database_url, redis_url=redis_url, settings=QUICK) as system:
        await system.start("api", "worker", "ingest")
        yield system


@pytest.fixture
async def system(shared_system: System) -> AsyncIterator[System]:
    """Return the system, whose exchange answers normally and whose stream is connected when the test ends."""
    yield shared_system
    await shared_system.control("PUT", "answers", [])
    await shared_system.control("PUT", "faults", {"stream": {"drop_rate": 0}})


@pytest.mark.parametrize("path", ["/v2/*", "/v2/orders:by_client_order_id"], ids=["every path", "look-ups"])
async def test_a_router_that_does_not_know_the_path_proves_no_absence(system: System, path: str) -> None:
    await system.control("PUT", "faults", {"stream": {"drop_rate": 1}})
    lost = {"method": "POST", "path": "/v2/orders", "status": None, "after_execution": True}
    unknown = {"method": None, "path": path, "times": MANY, "status": 404, "body": NO_ROUTE}
    await system.control("PUT", "answers", [lost, unknown])
    order_id = await system.placed_id()

    await eventually(
        lambda: _looked_up_for(system, order_id), within_seconds=LOOK_UPS_FAIL_FOR_SECONDS + WITHIN_SECONDS
    )
    in_doubt = await system.order(order_id)
    await system.control("PUT", "answers", [])
    await system.control("PUT", "faults", {"stream": {"drop_rate": 0}})
    await system.becomes(order_id, "PLACED", within_seconds=WITHIN_SECONDS)
    canceling = await system.cancel(order_id)
    await system.becomes(order_id, "CANCELED", within_seconds=WITHIN_SECONDS)

    assert in_doubt["status"] == "IN_DOUBT"
    assert canceling["__typename"] == "CancelOrderSuccess"
    kinds = await _kinds(system, order_id)
    assert kinds == ["RECEIVED", "PLACEMENT_IN_DOUBT", "PLACED", *kinds[3:-1], "CANCELED"]
    assert await _at_exchange(system, order_id) == 1
    assert len(await _requests(system, order_id, method="POST")) == 1


async def test_a_refused_order_that_fills_is_live_again_and_can_be_canceled(system: System) -> None:
    await system.control("PUT", "faults", {"stream": {"drop_rate": 1}})
    lie = {"method": "POST", "path": "/v2/orders", "status": 403, "body": REFUSAL, "after_execution": True}
    await system.control("PUT", "answers", [lie])
    order_id = await system.placed_id()
    rejected = await system.becomes(order_id, "REJECTED", within_seconds=WITHIN_SECONDS)

    await system.control("PUT", "faults", {"stream": {"drop_rate": 0}})
    name = await system.venue_client_order_id(order_id)
    await system.control("POST", "fills", {"client_order_id": name, "qty": "1", "price": "9"})
    await system.becomes(order_id, "PARTIALLY_FILLED", within_seconds=WITHIN_SECONDS)
    await system.cancel(order_id)
    canceled = await system.becomes(order_id, "CANCELED", within_seconds=WITHIN_SECONDS)

    assert rejected["reason"]["code"] == "VENUE_40310000"
    assert canceled["filledQuantity"] == "1"
    kinds = await _kinds(system, order_id)
    assert kinds[:4] == ["RECEIVED", "REJECTED", "REVIVED", "FILL"]
    await system.processes["ingest"].shows("order_revived", within_seconds=5)


async def test_a_refusal_after_a_lost_answer_rejects_the_order_once_a_look_up_shows_that_it_is_not_there(
    system: System,
) -> None:
    lost = {"method": "POST", "path": "/v2/orders", "status": None}
    refused = {"method": "POST", "path": "/v2/orders", "times": MANY, "status": 403, "body": REFUSAL}
    await system.control("PUT", "answers", [lost, refused])
    order_id = await system.placed_id()

    rejected = await system.becomes(order_id, "REJECTED", within_seconds=WITHIN_SECONDS)

    assert rejected["reason"]["message"] == "insufficient buying power"
    assert await _kinds(system, order_id) == ["RECEIVED", "PLACEMENT_IN_DOUBT", "REJECTED"]
    requests = await _requests(system, order_id)
    assert [request["method"] for request in requests][-1] == "GET"
    assert sum(request["method"] == "POST" for request in requests) == 2


async def test_an_order_that_is_rejected_in_the_answer_is_never_placed(system: System) -> None:
    body = {"id": "v-rejected", "status": "rejected", "submitted_at": "2026-01-05T08:00:00Z", "reject_reason": "no"}

    async def answer(order_id: str) -> None:
        named = body | {"client_order_id": await system.venue_client_order_id(order_id)}
        await system.control("PUT", "answers", [_placement(status=200, body=named)])

    await system.control("PUT", "answers", [_placement(status=403, body={"message": "forbidden."}, times=MANY)])
    order_id = await system.placed_id()
    await eventually(lambda: _is_tried(system, order_id), within_seconds=WITHIN_SECONDS)
    await answer(order_id)

    await system.becomes(order_id, "REJECTED", within_seconds=WITHIN_SECONDS)

    assert await _kinds(system, order_id) == ["RECEIVED", "REJECTED"]


async def test_an_account_that_may_not_trade_makes_the_order_wait(system: System) -> None:
    await system.control("PUT", "answers", [_placement(status=403, body={"message": "forbidden."}, times=2)])

    order_id = await system.placed_id()

    order = await system.becomes(order_id, "PLACED", within_seconds=WITHIN_SECONDS)
    assert order["placement"]["attempts"] == 1
    assert await _kinds(system, order_id) == ["RECEIVED", "PLACED"]


def _placement(*, status: int, body: Json, times: int = 1) -> Json:
    return {"method": "POST", "path": "/v2/orders", "times": times, "status": status, "body": body}


async def _kinds(system: System, order_id: str) -> Sequence[str]:
    data = await system.ask(KINDS, {"id": order_id})
    return [change["kind"] for change in data["order"]["history"]["nodes"]]


async def _at_exchange(system: System, order_id: str) -> int:
    name = await system.venue_client_order_id(order_id)
    return sum(one["client_order_id"] == name for one in await system.journal("order"))


async def _requests(system: System, order_id: str, *, method: str | None = None) -> Sequence[Json]:
    name = await system.venue_client_order_id(order_id)
    requests: Sequence[Json] = (await system.control("GET", "requests?after=0&limit=20000"))["requests"]
    return [one for one in requests if one["client_order_id"] == name and method in {None, one["method"]}]


async def _is_tried(system: System, order_id: str) -> bool:
    return bool((await system.order(order_id))["placement"]["lastError"])


async def _looked_up_for(system: System, order_id: str) -> bool:
    """Return whether look-ups of the order have been answered with 404 for that long; it must not have ended before."""
    assert (await system.order(order_id))["status"] in {"PENDING", "IN_DOUBT"}
    times = [
        datetime.fromisoformat(one["at"])
        for one in await _requests(system, order_id, method="GET")
        if one["status"] == NOT_FOUND
    ]
    return bool(times) and (times[-1] - times[0]).total_seconds() >= LOOK_UPS_FAIL_FOR_SECONDS
