"""Faults of the stream are in the journal, and there are no others."""

from tests.exchange.simulator.client import AT_ONCE, Listener, exchange


async def test_a_dropped_event_is_only_in_the_journal() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await client.set_faults(stream={"drop_rate": 1})
        await client.placed(client_order_id="unheard")
        await client.set_faults(stream={"drop_rate": 0})
        await client.placed(client_order_id="heard")

        assert (await listener.update())["order"]["client_order_id"] == "heard"
        assert [event["withheld"] for event in await client.events()] == [["dropped"], []]


async def test_a_duplicated_event_is_sent_twice_identically() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await client.set_faults(stream={"duplicate_rate": 1})
        await client.placed()

        one, other = await listener.updates(2)
        (event,) = await client.events()

    assert one == other
    assert (event["withheld"], event["disturbed"]) == ([], ["duplicated"])


async def test_reordered_events_all_arrive() -> None:
    async with exchange(matching=AT_ONCE) as client, Listener.listening(client) as listener:
        await client.set_faults(stream={"reorder_rate": 1})
        await client.placed()

        heard = [update["order"]["filled_qty"] for update in await listener.updates(4)]

    assert heard == ["3", "0", "10", "6"]


async def test_an_event_held_back_arrives_though_no_other_follows() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await client.set_faults(stream={"reorder_rate": 1})
        await client.placed()

        assert (await listener.update())["event"] == "new"


async def test_a_muted_stream_sends_nothing_and_the_journal_marks_it() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await client.set_faults(stream={"mute": True})
        await client.placed(client_order_id="unheard")
        await client.set_faults(stream={"mute": False})
        await client.placed(client_order_id="heard")

        assert (await listener.update())["order"]["client_order_id"] == "heard"
        assert [event["withheld"] for event in await client.events()] == [["muted"], []]


async def test_a_delayed_event_has_the_order_as_of_the_event() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await client.set_faults(stream={"delay_ms": 30})
        order = await client.placed()
        await client.call("POST", "/simulator/fills", {"order_id": order["id"]})

        updates = await listener.updates(2)

    assert [update["order"]["filled_qty"] for update in updates] == ["0", "10"]


async def test_a_delayed_event_is_lost_when_the_listener_leaves() -> None:
    async with exchange() as client, Listener.listening(client):
        await client.set_faults(stream={"delay_ms": 500})
        await client.placed()
        await client.call("POST", "/simulator/disconnect")

        while not (event := (await client.events())[0])["withheld"]:
            pass

    assert (event["withheld"], event["disturbed"]) == (["no_listener"], ["delayed"])


async def test_null_frames_are_sent_between_the_events() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await client.set_faults(stream={"null_rate": 1})
        await client.placed()

        assert await listener.hear() == {"stream": "trade_updates", "data": None}
        assert (await listener.update())["event"] == "new"
