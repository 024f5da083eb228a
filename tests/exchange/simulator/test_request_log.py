"""The log of requests shows everything that arrived at the venue's REST interface."""

import asyncio
from datetime import datetime

import aiohttp
import pytest

from exchange.simulator.request_log import REQUESTS_KEPT_MAX
from tests.exchange.simulator.client import Client, Json, exchange


async def _requests(client: Client, **query: str) -> Json:
    status, log = await client.call("GET", "/simulator/requests", **query)
    assert status == 200, log
    return dict(log)


async def test_every_request_is_numbered_with_its_ids_and_its_status() -> None:
    async with exchange() as client:
        order = await client.placed(client_order_id="one")
        await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="none", nested="true")
        await client.call("PATCH", f"/v2/orders/{order['id']}", {"client_order_id": "two", "qty": "5"})
        await client.call("DELETE", "/v2/orders/unknown")
        await client.call("POST", "/v1/elsewhere")
        log = await _requests(client)

    rows = [
        (each["number"], each["method"], each["path"], each["client_order_id"], each["order_id"], each["status"])
        for each in log["requests"]
    ]
    assert rows == [
        (1, "POST", "/v2/orders", "one", None, 200),
        (2, "GET", "/v2/orders:by_client_order_id", "none", None, 404),
        (3, "PATCH", f"/v2/orders/{order['id']}", "two", order["id"], 200),
        (4, "DELETE", "/v2/orders/unknown", None, "unknown", 404),
        (5, "POST", "/v1/elsewhere", None, None, 404),
    ]
    assert log["requests"][1]["query"] == {"client_order_id": "none", "nested": "true"}
    assert log["requests"][0]["at"] <= order["submitted_at"] <= log["requests"][1]["at"]
    assert datetime.fromisoformat(log["requests"][0]["at"]).tzinfo is not None


async def test_refused_requests_are_in_the_log() -> None:
    async with exchange() as client:
        async with client.session.post(f"{client.simulator.url}/v2/orders", data=b'{"client_order_id":"a"}'):
            pass
        await client.set_faults(down=True)
        await client.place(client_order_id="b")
        await client.set_faults(down=False, refuse_rate=1)
        await client.place(client_order_id="c")
        await client.set_faults(refuse_rate=0, requests_per_minute=1)
        await client.call("GET", "/v2/clock")
        await client.place(client_order_id="d")
        await client.set_faults(requests_per_minute=0)
        await client.call("PUT", "/simulator/answers", [{"path": "*", "status": 502}])
        await client.place(client_order_id="e")
        await client.call("POST", "/v2/orders")
        log = await _requests(client)

    rows = [(each["client_order_id"], each["status"]) for each in log["requests"] if each["method"] == "POST"]
    assert rows == [("a", 401), ("b", 503), ("c", 503), ("d", 429), ("e", 502), (None, 422)]


async def test_requests_that_a_script_has_answered_are_marked() -> None:
    async with exchange() as client:
        await client.call("PUT", "/simulator/answers", [{"path": "/v2/orders/*", "status": 404, "times": 1}])
        await client.call("GET", "/v2/orders/scripted")
        await client.call("GET", "/v2/orders/unknown")
        log = await _requests(client)

    rows = [(each["order_id"], each["status"], each["is_scripted"]) for each in log["requests"]]
    assert rows == [("scripted", 404, True), ("unknown", 404, False)]


async def test_a_request_without_an_answer_has_no_status() -> None:
    async with exchange() as client:
        await client.call("PUT", "/simulator/answers", [{"path": "*", "status": None}])
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.place()
        await client.set_faults(latency_ms=600_000)
        waiting = asyncio.create_task(client.place(client_order_id="waiting"))
        async with asyncio.timeout(5):
            while (await _requests(client))["last"] < 2:
                pass
        log = await _requests(client)
        waiting.cancel()

    assert [each["status"] for each in log["requests"]] == [None, None]


async def test_the_log_is_read_on_from_any_number() -> None:
    async with exchange() as client:
        for number in range(3):
            await client.call("GET", f"/v2/orders/{number}")
        whole = await _requests(client)
        first, rest = await _requests(client, limit="2"), await _requests(client, after="2")
        none = await _requests(client, after="9")

    assert first["requests"] + rest["requests"] == whole["requests"]
    assert [log["is_complete"] for log in (whole, first, rest, none)] == [True, False, True, True]
    assert (whole["first"], whole["last"], none["requests"]) == (1, 3, [])


async def test_the_log_forgets_the_oldest_requests() -> None:
    assert REQUESTS_KEPT_MAX == 20_000
    async with exchange(requests_kept_max=3) as client:
        for number in range(5):
            await client.call("GET", f"/v2/orders/{number}")
        log, after = await _requests(client, after="1"), await _requests(client, after="4")

    assert [each["number"] for each in log["requests"]] == [3, 4, 5]
    assert [each["number"] for each in after["requests"]] == [5]
    assert (log["first"], log["last"], log["is_complete"]) == (3, 5, True)
