"""External orders have a real broker's form on the wire; forgotten orders are unknown to the exchange."""

import pytest

from tests.exchange.simulator.client import AT_ONCE, Client, Json, Listener, exchange


async def _external(client: Client, **fields: object) -> Json:
    status, order = await client.call("POST", "/simulator/orders", {"symbol": "AAPL", "side": "buy", **fields})
    assert status == 200, order
    return dict(order)


async def _row(client: Client, order_id: str) -> Json | None:
    """Return the order's row in the list of all orders, or None."""
    _, rows = await client.call("GET", "/v2/orders", status="all")
    return next((row for row in rows if row["id"] == order_id), None)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "stop", "stop_price": "190.5", "qty": "3"},
        {"type": "stop_limit", "stop_price": "190.5", "limit_price": "190", "qty": "3"},
        {"type": "trailing_stop", "trail_percent": "1.5", "hwm": "231", "qty": "3"},
        {"type": "market", "time_in_force": "opg", "qty": "3"},
        {"type": "limit", "time_in_force": "cls", "limit_price": "200", "qty": "0.5"},
        {"type": "market", "qty": None, "notional": "100.25"},
        {"type": "limit", "limit_price": "200", "qty": "1", "order_class": "class of the year 2027"},
        {"type": "type of the year 2027", "qty": "1", "position_intent": "buy_to_open"},
        {"symbol": "BTC/USD", "asset_class": "crypto", "qty": "0.001", "type": "market", "time_in_force": "gtc"},
    ],
)
async def test_an_external_order_shows_its_fields_on_the_stream_and_in_every_look_up(fields: Json) -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        order = await _external(client, client_order_id="not ours ✓", **fields)
        update = await listener.update()

        _, by_id = await client.call("GET", f"/v2/orders/{order['id']}")
        by_client = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="not ours ✓")
        row = await _row(client, order["id"])

    assert {key: order[key] for key in fields} == fields
    assert order["order_type"] == order["type"]
    assert (order["client_order_id"], order["status"], order["filled_qty"]) == ("not ours ✓", "new", "0")
    assert by_id == by_client[1] == row == update["order"] == order
    assert update["event"] == "new"


async def test_an_external_order_without_a_client_order_id_gets_one() -> None:
    async with exchange() as client:
        first, second = await _external(client, qty=1), await _external(client, qty=1)

    assert len({first["client_order_id"], second["client_order_id"], None}) == 3


async def test_numbers_of_an_external_order_are_shown_as_the_wire_writes_them() -> None:
    async with exchange() as client:
        order = await _external(client, type="stop", qty=2, stop_price=1e-05)

    assert (order["qty"], order["stop_price"]) == ("2", "0.00001")


async def test_a_filled_external_order_is_in_the_activities_and_positions() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        order = await _external(client, type="limit", limit_price="200", qty="4", fill=True)
        events = [(update["event"], update.get("price")) for update in await listener.updates(2)]
        _, activities = await client.call("GET", "/v2/account/activities/FILL")
        _, position = await client.call("GET", "/v2/positions/AAPL")

    assert events == [("new", None), ("fill", "200")]
    assert (order["status"], order["filled_qty"]) == ("filled", "4")
    assert [(each["order_id"], each["qty"], each["price"]) for each in activities] == [(order["id"], "4", "200")]
    assert position["qty"] == "4"


async def test_a_filled_notional_order_has_a_filled_quantity_and_no_quantity() -> None:
    async with exchange() as client:
        order = await _external(client, type="market", notional="100", fill=True, symbol="UNLISTED")
        _, positions = await client.call("GET", "/v2/positions")

    assert (order["status"], order["qty"], order["filled_qty"], order["notional"]) == ("filled", None, "1", "100")
    assert [(each["symbol"], each["qty"]) for each in positions] == [("UNLISTED", "1")]


async def test_an_external_order_is_filled_only_by_the_controls() -> None:
    async with exchange(matching=AT_ONCE) as client:
        external = await _external(client, type="market", qty="10")
        own = await client.placed()
        await client.until_status(own["id"], "filled")
        waiting = await client.order(external["id"])
        _, fill = await client.call("POST", "/simulator/fills", {"order_id": external["id"], "qty": "4"})

    assert waiting["status"] == "new"
    assert (fill["filled_qty"], fill["status"]) == ("4", "partially_filled")


async def test_an_external_order_can_be_canceled_and_expires_with_the_day() -> None:
    async with exchange() as client:
        canceled, expired = await _external(client, qty=1), await _external(client, qty=1, time_in_force="cls")

        assert (await client.call("DELETE", f"/v2/orders/{canceled['id']}"))[0] == 204
        await client.call("POST", "/simulator/close")

        assert (await client.order(canceled["id"]))["status"] == "canceled"
        assert (await client.order(expired["id"]))["status"] == "expired"


async def test_a_replaced_external_order_shows_the_new_terms_and_the_old_kind() -> None:
    async with exchange() as client:
        order = await _external(client, qty="5", type="stop_limit", stop_price="190", limit_price="191")
        _, successor = await client.call("PATCH", f"/v2/orders/{order['id']}", {"qty": "7", "limit_price": "192"})

    assert (successor["type"], successor["stop_price"]) == ("stop_limit", "190")
    assert (successor["qty"], successor["limit_price"], successor["replaces"]) == ("7", "192", order["id"])


async def _bracket(client: Client, **fields: object) -> Json:
    exits: Json = {"take_profit": {"limit_price": "301"}, "stop_loss": {"stop_price": "199", "limit_price": "198.5"}}
    return await _external(client, qty="10", order_class="bracket", time_in_force="gtc", **exits, **fields)


async def test_the_legs_of_a_bracket_are_held_orders_of_their_own() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        order = await _bracket(client)
        events = [(update["event"], update["order"]["id"]) for update in await listener.updates(3)]
        _, flat = await client.call("GET", "/v2/orders", direction="asc")
        _, nested = await client.call("GET", "/v2/orders", nested="True")
        _, one = await client.call("GET", f"/v2/orders/{order['id']}", nested="true")

    take_profit, stop_loss = order["legs"]
    assert events == [("new", order["id"]), ("held", take_profit["id"]), ("held", stop_loss["id"])]
    assert [(leg["type"], leg["side"], leg["qty"], leg["order_class"]) for leg in order["legs"]] == [
        ("limit", "sell", "10", "bracket"),
        ("stop_limit", "sell", "10", "bracket"),
    ]
    assert (take_profit["limit_price"], stop_loss["stop_price"], stop_loss["limit_price"]) == ("301", "199", "198.5")
    assert [row["legs"] for row in flat] == [None, None, None]
    assert nested == [order]
    assert one == order


async def test_a_filled_bracket_starts_its_first_leg_and_the_end_of_a_leg_cancels_the_other() -> None:
    async with exchange() as client:
        order = await _bracket(client, fill=True)
        take_profit, stop_loss = order["legs"]
        assert (take_profit["status"], stop_loss["status"]) == ("new", "held")

        await client.call("POST", "/simulator/fills", {"order_id": take_profit["id"]})

        assert (await client.order(take_profit["id"]))["status"] == "filled"
        assert (await client.order(stop_loss["id"]))["status"] == "canceled"


async def test_a_canceled_bracket_cancels_its_legs() -> None:
    async with exchange() as client:
        order = await _bracket(client)
        await client.call("DELETE", f"/v2/orders/{order['id']}")

        assert [(await client.order(leg["id"]))["status"] for leg in order["legs"]] == ["canceled", "canceled"]


async def test_a_forgotten_leg_is_not_shown_under_its_order_and_the_legs_of_a_forgotten_order_are_rows() -> None:
    async with exchange() as client:
        one, other = await _bracket(client), await _bracket(client)
        await client.call("DELETE", f"/simulator/orders/{one['legs'][0]['id']}")
        await client.call("DELETE", f"/simulator/orders/{other['id']}")
        _, nested = await client.call("GET", "/v2/orders", nested="true", direction="asc")

    assert [row["id"] for row in nested] == [one["id"], *(leg["id"] for leg in other["legs"])]
    assert [leg["id"] for leg in nested[0]["legs"]] == [one["legs"][1]["id"]]


async def test_legs_can_be_given_in_the_form_of_the_wire() -> None:
    async with exchange() as client:
        legs = [{"symbol": "IBM", "side": "buy", "type": "limit", "limit_price": "200", "qty": "2"}]
        order = await _external(client, qty="1", order_class="mleg", legs=legs)

    assert [{key: leg[key] for key in legs[0]} for leg in order["legs"]] == legs


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"qty": "none"}, 422),
        ({"qty": "-1"}, 422),
        ({"qty": "1", "side": None}, 422),
        ({"qty": "1", "symbol": ""}, 422),
        ({"qty": "1", "client_order_id": 7}, 422),
        ({"qty": "1", "status": "held"}, 400),
        ({"qty": "1", "filled_at": "2026-11-30"}, 400),
        ({"qty": "1", "legs": ["leg"]}, 400),
        ({"qty": "1", "legs": [{"type": "limit"}] * 5}, 400),
    ],
)
async def test_an_external_order_that_cannot_be_is_refused(fields: Json, status: int) -> None:
    async with exchange() as client:
        answer = await client.call("POST", "/simulator/orders", {"symbol": "AAPL", "side": "buy", **fields})

        assert answer[0] == status
        assert await client.journal() == []


async def test_a_forgotten_order_is_unknown_to_every_look_up_and_nothing_happens_to_it_any_more() -> None:
    async with exchange() as client:
        order = await client.placed(client_order_id="forgotten", time_in_force="gtc")
        await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "4"})
        assert (await client.call("DELETE", f"/simulator/orders/{order['id']}"))[0] == 200

        await client.call("PUT", "/simulator/matching", {"mode": "auto", "fill_delay_ms": 0})
        own = await client.placed()
        await client.until_status(own["id"], "filled")
        by_id = await client.call("GET", f"/v2/orders/{order['id']}")
        by_client = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="forgotten")
        canceled = await client.call("DELETE", f"/v2/orders/{order['id']}")
        row = await _row(client, order["id"])
        again = await client.call("DELETE", f"/simulator/orders/{order['id']}")
        taken = await client.place(client_order_id="forgotten")
        after = [entry["kind"] for entry in await client.journal() if entry["order_id"] == order["id"]]

    assert by_id == (404, {"code": 40410000, "message": f"order not found for {order['id']}"})
    assert by_client == (404, {"code": 40410000, "message": "order not found for forgotten"})
    assert (canceled[0], row, again[0]) == (404, None, 404)
    assert taken == (422, {"code": 40010001, "message": "client_order_id must be unique"})
    assert after == ["order", "event", "event", "forgotten"]


async def test_the_fills_of_a_forgotten_order_stay_in_the_activities() -> None:
    async with exchange() as client:
        order = await _external(client, qty="3", fill=True)
        await client.call("DELETE", f"/simulator/orders/{order['id']}")
        _, activities = await client.call("GET", "/v2/account/activities/FILL")
        _, position = await client.call("GET", "/v2/positions/AAPL")

    assert [each["order_id"] for each in activities] == [order["id"]]
    assert position["qty"] == "3"


async def test_a_venue_that_checks_identity_refuses_an_external_order_and_a_leg_with_an_id_that_it_has_seen() -> None:
    async with exchange() as client:
        await client.placed(client_order_id="seen")
        seen: Json = {"client_order_id": "seen"}
        fields: Json = {"symbol": "AAPL", "side": "buy", "qty": 1}

        for wrong in (seen, {"take_profit": {"limit_price": 300, **seen}}):
            status, error = await client.call("POST", "/simulator/orders", {**fields, **wrong})
            assert (status, error["message"]) == (422, "client_order_id must be unique")


async def test_a_venue_that_does_not_check_identity_takes_a_client_order_id_twice_and_shows_the_last_order() -> None:
    async with exchange() as client:
        first = await client.placed(client_order_id="twice")
        assert (await client.call("PUT", "/simulator/identity", {"check": False})) == (200, {"check": False})
        second = await client.placed(client_order_id="twice")
        third = await _external(client, qty=1, client_order_id="twice")
        _, found = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="twice")
        await client.call("PUT", "/simulator/identity", {"check": True})

        assert len({first["id"], second["id"], third["id"]}) == 3
        assert found["id"] == third["id"]
        assert (await client.place(client_order_id="twice"))[0] == 422
        assert (await client.call("PUT", "/simulator/identity", {}))[0] == 400
