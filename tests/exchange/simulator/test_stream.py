"""The execution stream: who may connect, and its events."""

from typing import Any

import aiohttp
import pytest

from exchange.simulator.stream import Frames
from tests.exchange.simulator.client import AT_ONCE, Client, Listener, exchange

FRAME_TYPES: list[tuple[Frames, aiohttp.WSMsgType]] = [
    ("binary", aiohttp.WSMsgType.BINARY),
    ("text", aiohttp.WSMsgType.TEXT),
]


async def _reconnected(client: Client) -> Listener:
    """Return a new connection, as soon as the exchange has detected the end of the previous one."""
    while True:
        try:
            return await Listener.connect(client)
        except aiohttp.WSServerHandshakeError as error:
            assert error.status == 429  # noqa: PT017  # Every other status fails the test.


@pytest.mark.parametrize(("frames", "kind"), FRAME_TYPES)
async def test_the_stream_speaks_in_the_configured_frames(frames: Frames, kind: aiohttp.WSMsgType) -> None:
    async with exchange(frames=frames) as client, Listener.listening(client) as listener:
        await client.placed()

        assert (await listener.frame()).type is kind


async def test_a_listener_receives_each_event_with_the_order_at_that_time() -> None:
    async with exchange(matching=AT_ONCE) as client, Listener.listening(client) as listener:
        order = await client.placed(client_order_id="heard")
        updates = await listener.updates(4)
        journal = await client.events()

    assert [update["event"] for update in updates] == ["new", "partial_fill", "partial_fill", "fill"]
    assert [update["order"]["filled_qty"] for update in updates] == ["0", "3", "6", "10"]
    assert [update.get("qty") for update in updates] == [None, "3", "3", "4"]
    assert [update.get("position_qty") for update in updates] == [None, "3", "6", "10"]
    assert [update.get("execution_id") for update in updates] == [entry["execution_id"] for entry in journal]
    assert [update["timestamp"] for update in updates] == [entry["at"] for entry in journal]
    assert {update["order"]["id"] for update in updates} == {order["id"]}
    assert all(entry["withheld"] == [] for entry in journal)


async def test_ends_have_their_own_times() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        first, second = await client.placed(), await client.placed()
        await client.call("DELETE", f"/v2/orders/{first['id']}")
        await client.call("PATCH", f"/v2/orders/{second['id']}", {"qty": "5"})
        await client.call("POST", "/simulator/close")
        updates = await listener.updates(6)

    reported = [(update["event"], update["order"]["status"]) for update in updates]
    assert reported == [
        ("new", "new"),
        ("new", "new"),
        ("canceled", "canceled"),
        ("replaced", "replaced"),
        ("new", "new"),
        ("expired", "expired"),
    ]
    assert updates[2]["order"]["canceled_at"] == updates[2]["timestamp"]
    assert updates[3]["order"]["replaced_by"] == updates[4]["order"]["id"]


async def test_a_bust_and_a_correction_name_the_execution_that_they_change() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        order = await client.placed()
        _, fill = await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "4", "price": "230"})
        execution_id = fill["execution_id"]
        body = {"execution_id": execution_id, "qty": "3", "price": "229"}
        _, corrected = await client.call("POST", "/simulator/correct", body)
        _, listed = await client.call("GET", f"/v2/account/activities/FILL?order_id={order['id']}")
        _, busted = await client.call("POST", "/simulator/bust", {"execution_id": corrected["execution_id"]})
        _, _, correct, bust = await listener.updates(4)

    assert (correct["event"], correct["qty"], correct["price"]) == ("trade_correct", "3", "229")
    assert correct["order"]["filled_qty"] == correct["position_qty"] == "3"
    assert (bust["event"], bust["order"]["filled_qty"], bust["reason"]) == ("trade_bust", "0", "TRADE_BUST")
    assert (bust["qty"], bust["price"]) == ("-3", "229")
    assert correct["previous_execution_id"] == execution_id
    assert correct["execution_id"] == bust["previous_execution_id"] == corrected["execution_id"] != execution_id
    assert bust["execution_id"] == busted["execution_id"] != corrected["execution_id"]
    assert [row["id"].partition("::")[2] for row in listed] == [corrected["execution_id"]]


async def test_wrong_keys_are_unauthorized_on_the_stream() -> None:
    async with exchange() as client:
        listener = await Listener.connect(client, key="wrong")
        answer = await listener.hear()
        await listener.say("listen", {"streams": ["trade_updates"]})
        refused = await listener.hear()
        await listener.close()

    assert answer == {"stream": "authorization", "data": {"status": "unauthorized", "action": "authenticate"}}
    assert refused == {"stream": "authorization", "data": {"status": "unauthorized", "action": "listen"}}


async def test_listen_sets_the_list_so_an_empty_one_ends_the_updates() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await listener.say("listen", {"streams": []})
        assert (await listener.hear())["data"] == {"streams": []}

        await client.placed()

        assert [entry["withheld"] for entry in await client.events()] == [["no_listener"]]


async def test_a_message_that_makes_no_sense_is_answered_and_the_connection_stays_open() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await listener._websocket.send_str("hello")  # noqa: SLF001  # Below the client helper's interface.
        assert (await listener.hear())["stream"] == "error"

        await client.placed()
        assert (await listener.update())["event"] == "new"


async def test_an_account_has_one_connection() -> None:
    async with exchange() as client, Listener.listening(client):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await Listener.connect(client)

    assert caught.value.status == 429


async def test_a_closed_connection_frees_its_place_and_nothing_is_replayed() -> None:
    async with exchange() as client:
        async with Listener.listening(client):
            pass
        await client.placed()

        listener = await _reconnected(client)
        await listener.hear()
        await listener.say("listen", {"streams": ["trade_updates"]})
        await listener.hear()
        await client.placed(client_order_id="later")
        heard = await listener.update()
        await listener.close()

        withheld: list[list[Any]] = [entry["withheld"] for entry in await client.events()]

    assert heard["order"]["client_order_id"] == "later"
    assert withheld == [["no_listener"], []]


async def test_a_closed_connection_ends_without_a_closing_handshake_and_can_occupy_its_place() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        answer = await client.call("POST", "/simulator/disconnect", {"hold_slot_seconds": 60})
        end = await listener.frame()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await Listener.connect(client)
        await client.call("POST", "/simulator/disconnect", {"hold_slot_seconds": 0})
        freed = await Listener.connect(client)
        await freed.close()

    assert answer == (200, {"disconnected": 1})
    assert end.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE}
    assert caught.value.status == 429


async def test_a_wrong_hold_time_is_refused_by_its_key() -> None:
    async with exchange() as client:
        status, error = await client.call("POST", "/simulator/disconnect", {"hold_slot_seconds": -1})

    assert (status, error["message"]) == (400, "hold_slot_seconds must be from 0 to 3600")
