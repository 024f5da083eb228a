"""Clients that send too many requests are refused, with a delay, and others are not affected."""

import asyncio
from dataclasses import replace

import pytest

from domain.ports.telemetry import Metric
from graph.limits.request_rates import RequestRates, TooManyRequestsError
from graph.settings import GraphSettings
from tests.support.api_server import running_api, token
from tests.support.api_world import World
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.graphql_orders import PLACE, limit_order
from tests.support.raw_socket import raw_conversation, subscribe

VIEWER = "{ viewer { accountId } }"
LATE_SECONDS = 0.05
LATE = GraphSettings(refused_after_seconds=LATE_SECONDS)
REQUESTS = replace(LATE, requests_per_second=1, requests_burst=3)
DOCUMENTS = replace(LATE, new_documents_per_second=1, new_documents_burst=2)


async def test_an_account_beyond_its_rate_gets_retry_after_and_others_are_served() -> None:
    async with running_api(World(settings=REQUESTS)) as api:
        for _ in range(3):
            assert (await api.answer(VIEWER))["data"]

        refused = await api.post({"query": VIEWER})

        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert await refused.json() == {
            "errors": [
                {
                    "message": "More than 1 requests a second. Ask again a bit later.",
                    "extensions": {"code": "TOO_MANY_REQUESTS", "limit": 1},
                }
            ]
        }
        assert (await api.answer(VIEWER, bearer=token("bob")))["data"]
        assert api.world.telemetry.counted(Metric.REQUESTS_REFUSED, limit="requests") == 1


async def test_a_refused_order_is_not_stored() -> None:
    async with running_api(World(settings=REQUESTS)) as api:
        for _ in range(3):
            await api.answer(VIEWER)

        refused = await api.post({"query": PLACE, "variables": {"input": limit_order()}})

        assert refused.status == 429
        assert api.world.orders.rows == {}


async def test_documents_that_were_never_seen_are_counted_and_the_others_are_not() -> None:
    async with running_api(World(settings=DOCUMENTS)) as api:
        known = [f"query Known{number} {VIEWER}" for number in range(2)]
        for document in known:
            assert (await api.answer(document))["data"]

        refused = await api.post({"query": "query New { viewer { scopes } }"})

        assert refused.status == 429
        assert (await refused.json())["errors"][0]["extensions"] == {"code": "TOO_MANY_REQUESTS", "limit": 1}
        for document in known:
            assert (await api.answer(document))["data"]


async def test_an_invalid_document_counts_as_new_on_first_use() -> None:
    async with running_api(World(settings=DOCUMENTS)) as api:
        statuses = [(await api.post({"query": f"query Q{number} {{ unknown }}"})).status for number in (1, 1, 2, 3)]

    assert statuses == [200, 200, 200, 429]


async def test_operations_on_a_websocket_count_like_requests_and_the_socket_stays_open() -> None:
    async with running_api(World(settings=REQUESTS)) as api, raw_conversation(api) as socket:
        for number in range(3):
            await socket.send(subscribe(VIEWER, key=str(number)))
            assert (await socket.receive())["type"] == "next"
            assert (await socket.receive())["type"] == "complete"

        await socket.send(subscribe(VIEWER, key="refused"))

        refused = await socket.receive()
        assert (refused["id"], refused["type"]) == ("refused", "error")
        assert refused["payload"][0]["extensions"] == {"code": "TOO_MANY_REQUESTS", "limit": 1}
        assert (await api.post({"query": VIEWER})).status == 429


async def test_unauthenticated_requests_beyond_their_common_rate_are_refused_late() -> None:
    async with running_api(World(settings=replace(LATE, unauthenticated_per_second=1))) as api:
        loop = asyncio.get_running_loop()
        assert (await api.http.post(api.url, json={"query": VIEWER})).status == 401
        began = loop.time()

        assert (await api.http.post(api.url, json={"query": VIEWER})).status == 401

        assert loop.time() - began >= LATE_SECONDS
        assert api.world.telemetry.counted(Metric.REQUESTS_REFUSED, limit="unauthenticated") == 1


async def test_an_account_whose_bucket_was_dropped_starts_with_a_full_one() -> None:
    settings = replace(LATE, requests_per_second=1, requests_burst=1, rated_accounts_max=2)
    rates = RequestRates(settings, RecordingTelemetry())

    for account in ("alice", "bob", "carol", "alice"):
        await rates.admit_request(account)

    with pytest.raises(TooManyRequestsError):
        await rates.admit_request("carol")
