"""Scripted answers play any gateway in front of the venue."""

import aiohttp
import pytest

from tests.exchange.simulator.client import KEYS, Client, Json, exchange


async def _script(client: Client, *scripts: Json) -> None:
    assert await client.call("PUT", "/simulator/answers", list(scripts)) == (200, {"answers": len(scripts)})


async def test_the_next_matching_requests_are_answered_by_the_script_and_not_executed() -> None:
    async with exchange() as client:
        body = {"code": 50010000, "message": "internal server error occurred"}
        await _script(client, {"method": "POST", "path": "/v2/orders", "times": 2, "status": 500, "body": body})

        answers = [await client.place() for _ in range(3)]
        journal = await client.journal()

    assert answers[:2] == [(500, body)] * 2
    assert answers[2][0] == 200
    assert [entry["order_id"] for entry in journal if entry["kind"] == "order"] == [answers[2][1]["id"]]


async def test_a_request_can_be_executed_before_its_answer_is_replaced() -> None:
    async with exchange() as client:
        page = "<html>504 Gateway Time-out</html>"
        script = {"method": "POST", "path": "/v2/orders", "status": 504, "body": page, "after_execution": True}
        await _script(client, script)

        answer = await client.place(client_order_id="accepted")
        status, _ = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="accepted")
        journal = await client.journal()

    assert (answer, status) == ((504, page), 200)
    assert (journal[0]["answer"], journal[0]["withheld"]) == ("replaced", ["answer"])


@pytest.mark.parametrize("after_execution", [False, True])
async def test_an_answer_can_be_lost(*, after_execution: bool) -> None:
    async with exchange() as client:
        script = {"method": "POST", "path": "/v2/orders", "status": None, "after_execution": after_execution}
        await _script(client, script)

        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.place(client_order_id="lost")
        status, _ = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="lost")

    assert status == (200 if after_execution else 404)


async def test_a_script_sets_headers_and_content_type() -> None:
    async with exchange() as client:
        headers = {"Retry-After": "3", "content-type": "text/plain"}
        await _script(client, {"path": "/v2/account", "status": 429, "headers": headers, "body": "slow down"})

        async with client.session.get(f"{client.simulator.url}/v2/account", headers=KEYS) as response:
            assert (response.status, await response.text()) == (429, "slow down")
            assert (response.headers["Retry-After"], response.content_type) == ("3", "text/plain")


async def test_a_path_is_a_pattern_and_the_first_script_that_matches_answers() -> None:
    async with exchange() as client:
        await _script(
            client,
            {"method": "GET", "path": "/v2/orders/*", "status": 404, "body": {"message": "Not Found"}},
            {"method": None, "path": "*", "times": 9, "status": 503},
        )

        first = await client.call("GET", "/v2/orders/one")
        second = await client.call("GET", "/v2/orders/one")
        other = await client.call("DELETE", "/v2/orders")
        handshake = await client.session.get(client.simulator.stream_url.replace("ws:", "http:"))

    assert first == (404, {"message": "Not Found"})
    assert (second[0], other[0], handshake.status) == (503, 503, 503)


async def test_controls_are_never_answered_by_a_script_and_an_empty_list_ends_them() -> None:
    async with exchange() as client:
        await _script(client, {"path": "*", "times": 9, "status": 503})

        assert (await client.call("GET", "/simulator/faults"))[0] == 200
        await _script(client)
        assert (await client.place())[0] == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        ["script"],
        [{"status": 500}],
        [{"path": "*"}],
        [{"path": "*", "status": 99}],
        [{"path": "*", "status": 500, "times": 0}],
        [{"path": "*", "status": 500, "method": 1}],
        [{"path": "*", "status": 500, "headers": {"Retry-After": 3}}],
        [{"path": "*", "status": 500, "after_execution": 1}],
        [{"path": "*", "status": 500, "afterwards": True}],
    ],
)
async def test_a_wrong_script_is_refused_and_leaves_those_that_are_set(wrong: object) -> None:
    async with exchange() as client:
        await _script(client, {"path": "/v2/orders", "status": 503})

        assert (await client.call("PUT", "/simulator/answers", wrong))[0] == 400
        assert (await client.place())[0] == 503
