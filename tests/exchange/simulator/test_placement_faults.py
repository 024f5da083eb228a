"""Faults of a submission: nothing was executed, or everything was and the client is not informed."""

import asyncio
from typing import Any

import aiohttp
import pytest

from exchange.simulator.faults import Faults
from tests.exchange.simulator.client import AT_ONCE, Client, Listener, exchange


async def test_a_refused_placement_proves_that_nothing_was_executed() -> None:
    async with exchange() as client:
        await client.set_faults(refuse_rate=1)
        answer = await client.place()

        assert answer == (503, {"code": 50310000, "message": "not executed: the exchange refused the request"})
        assert await client.journal() == []


async def test_a_refused_placement_can_be_repeated_with_its_id() -> None:
    async with exchange() as client:
        await client.set_faults(refuse_rate=1)
        await client.place(client_order_id="again")
        await client.set_faults(refuse_rate=0)

        assert (await client.place(client_order_id="again"))[0] == 200


async def test_one_placement_in_ten_is_refused_by_default() -> None:
    async with exchange(faults=Faults(latency_ms=0)) as client:
        statuses = [(await client.place())[0] for _ in range(400)]
        entries = await client.journal()

    assert 20 <= statuses.count(503) <= 60
    assert sum(entry["kind"] == "order" for entry in entries) == statuses.count(200)


async def test_a_gateway_error_before_acceptance_proves_nothing_and_executes_nothing() -> None:
    async with exchange() as client:
        await client.set_faults(error_rate=1)
        answers = [await client.place() for _ in range(30)]

        assert {status for status, _ in answers} == {500, 502, 503, 504}
        assert all("not executed" not in body for _, body in answers)
        assert await client.journal() == []


async def _ambiguous(client: Client) -> dict[str, Any]:
    """Places thirty orders that are all accepted; returns how each was answered, by client order id."""
    answered: dict[str, Any] = {}
    for number in range(30):
        client_order_id = f"order {number}"
        try:
            answered[client_order_id] = (await client.place(client_order_id=client_order_id))[0]
        except aiohttp.ClientConnectionError:
            answered[client_order_id] = "dropped"
    return answered


async def test_an_ambiguous_placement_is_accepted_with_any_answer() -> None:
    async with exchange() as client:
        await client.set_faults(ambiguous_rate=1, ambiguous_delay_ms=1)
        answered = await _ambiguous(client)
        orders = [entry for entry in await client.journal() if entry["kind"] == "order"]

    told = {"dropped": "dropped", "500": 500, "504": 504, "late": 200}
    assert {entry["client_order_id"]: told[entry["answer"]] for entry in orders} == answered
    assert set(answered.values()) == {"dropped", 500, 504, 200}
    assert all(entry["withheld"] == ["answer"] for entry in orders)


async def test_an_order_rejected_later_is_accepted_first_and_never_fills() -> None:
    async with exchange(matching=AT_ONCE) as client, Listener.listening(client) as listener:
        await client.set_faults(reject_rate=1)
        order = await client.placed()
        update = await listener.update()

        assert order["status"] == "accepted"
        assert (update["event"], update["order"]["status"]) == ("rejected", "rejected")
        assert update["reason"] == "rejected by the market"
        assert (await client.order(order["id"]))["failed_at"] is not None


async def test_a_hidden_order_is_not_found_for_a_while_though_its_id_is_taken() -> None:
    async with exchange() as client:
        await client.set_faults(hide_seconds=600)
        order = await client.placed(client_order_id="hidden")

        assert (await client.call("GET", f"/v2/orders/{order['id']}"))[0] == 404
        assert (await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="hidden"))[0] == 404
        assert (await client.call("GET", "/v2/orders")) == (200, [])
        assert (await client.place(client_order_id="hidden"))[0] == 422
        assert (await client.journal())[0]["withheld"] == ["hidden"]


async def test_a_hidden_order_appears_after_its_time() -> None:
    async with exchange() as client:
        await client.set_faults(hide_seconds=0.05)
        order = await client.placed()

        while (await client.call("GET", f"/v2/orders/{order['id']}"))[0] == 404:
            pass

        assert len((await client.call("GET", "/v2/orders"))[1]) == 1


async def test_the_latency_applies_only_to_submissions() -> None:
    async with exchange(faults=Faults(latency_ms=60_000)) as client:
        placing = asyncio.create_task(client.place())

        assert (await client.call("GET", "/v2/orders")) == (200, [])
        assert not placing.done()
        placing.cancel()


async def test_reads_have_a_latency_of_their_own() -> None:
    async with exchange() as client:
        await client.set_faults(read_latency_ms=30)
        loop = asyncio.get_running_loop()
        before = loop.time()
        await client.call("GET", "/v2/clock")

        assert loop.time() - before >= 0.03


async def test_an_exchange_that_is_down_executes_nothing_and_can_still_be_controlled() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await client.set_faults(down=True)

        answer = await client.place()
        ended = await listener.frame()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await Listener.connect(client)

        assert answer == (503, {"code": 50310000, "message": "not executed: the exchange is down"})
        assert (await client.call("GET", "/v2/clock")) == answer
        assert ended.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE}
        assert caught.value.status == 503
        assert await client.journal() == []


async def test_the_matching_is_paused_while_the_exchange_is_down() -> None:
    async with exchange(matching=AT_ONCE) as client:
        client.simulator.venue.trading.set_matching(AT_ONCE.changed({"fill_delay_ms": 1}))
        order = await client.placed()
        await client.set_faults(down=True)
        before = await client.journal()
        assert await client.journal() == before

        await client.set_faults(down=False)

        await client.until_status(order["id"], "filled")


async def test_a_placement_in_transit_when_the_exchange_goes_down_is_not_executed() -> None:
    async with exchange(faults=Faults(latency_ms=500, refuse_rate=0)) as client:
        placing = asyncio.create_task(client.place())
        await client.call("GET", "/v2/clock")
        await client.set_faults(down=True)

        assert (await placing)[1] == {"code": 50310000, "message": "not executed: the exchange is down"}
        assert await client.journal() == []
