"""Orders are canceled and replaced, by request and by the end of the day."""

from tests.exchange.simulator.client import MANUAL, exchange


async def test_a_cancel_request_is_taken_and_the_order_canceled() -> None:
    async with exchange() as client:
        order = await client.placed()

        answer = await client.call("DELETE", f"/v2/orders/{order['id']}")
        canceled = await client.order(order["id"])

    assert answer == (204, "")
    assert canceled["status"] == "canceled"
    assert canceled["canceled_at"] is not None


async def test_an_order_that_has_ended_cannot_be_canceled() -> None:
    async with exchange() as client:
        order = await client.placed()
        await client.call("POST", "/simulator/fills", {"order_id": order["id"]})

        status, error = await client.call("DELETE", f"/v2/orders/{order['id']}")

    assert (status, error["message"]) == (422, 'order is already in "filled" state')


async def test_an_unknown_order_cannot_be_canceled_or_replaced() -> None:
    async with exchange() as client:
        assert (await client.call("DELETE", "/v2/orders/none"))[0] == 404
        assert (await client.call("PATCH", "/v2/orders/none", {"qty": "1"}))[0] == 404


async def test_all_open_orders_are_canceled_together() -> None:
    async with exchange() as client:
        ids = [(await client.placed())["id"] for _ in range(3)]

        status, results = await client.call("DELETE", "/v2/orders")

        assert (status, results) == (207, [{"id": order_id, "status": 200} for order_id in ids])
        assert (await client.call("GET", "/v2/orders")) == (200, [])


async def test_an_order_can_fill_while_its_cancellation_is_pending() -> None:
    async with exchange() as client:
        await client.call("PUT", "/simulator/matching", {"cancel_delay_ms": 500})
        order = await client.placed()
        await client.call("DELETE", f"/v2/orders/{order['id']}")
        assert (await client.order(order["id"]))["status"] == "pending_cancel"

        await client.call("POST", "/simulator/fills", {"order_id": order["id"]})
        while (last := (await client.events())[-1])["event"] == "fill":
            pass

    assert (last["event"], last["reason"]) == ("order_cancel_rejected", "TOO_LATE_TO_CANCEL")


async def test_a_pending_cancellation_is_carried_out_after_its_delay() -> None:
    async with exchange() as client:
        await client.call("PUT", "/simulator/matching", {"cancel_delay_ms": 500})
        order = await client.placed()
        await client.call("DELETE", f"/v2/orders/{order['id']}")

        repeated = await client.call("DELETE", f"/v2/orders/{order['id']}")
        await client.until_status(order["id"], "canceled")

        assert repeated[0] == 422
        assert [event["event"] for event in await client.events()] == ["new", "pending_cancel", "canceled"]


async def test_a_replaced_order_ends_and_a_new_one_takes_what_was_left() -> None:
    async with exchange(matching=MANUAL) as client:
        order = await client.placed(type="limit", limit_price="200", time_in_force="gtc")
        await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "4", "price": "200"})

        status, successor = await client.call("PATCH", f"/v2/orders/{order['id']}", {"limit_price": "201"})
        replaced = await client.order(order["id"])

        assert status == 200
        assert (successor["replaces"], successor["qty"], successor["limit_price"]) == (order["id"], "6", "201")
        assert (replaced["status"], replaced["replaced_by"]) == ("replaced", successor["id"])
        assert (await client.order(successor["id"]))["status"] == "new"


async def test_an_invalid_replacement_leaves_the_order_as_it_was() -> None:
    async with exchange() as client:
        order = await client.placed(client_order_id="kept")

        by_price = await client.call("PATCH", f"/v2/orders/{order['id']}", {"limit_price": "1"})
        by_id = await client.call("PATCH", f"/v2/orders/{order['id']}", {"client_order_id": "kept"})

        assert (by_price[0], by_id[0]) == (422, 422)
        assert (await client.order(order["id"]))["status"] == "new"


async def test_day_orders_expire_at_the_close_and_others_stay() -> None:
    async with exchange() as client:
        day = await client.placed()
        good_till_canceled = await client.placed(time_in_force="gtc")

        assert (await client.call("POST", "/simulator/close")) == (200, {"expired": 1})

        expired = await client.order(day["id"])
        assert (expired["status"], expired["expired_at"] is None) == ("expired", False)
        assert (await client.order(good_till_canceled["id"]))["status"] == "new"
