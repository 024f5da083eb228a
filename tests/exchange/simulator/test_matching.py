"""Orders execute in time, at prices and in slices as their terms allow."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from exchange.simulator.instruments import listed_instruments
from exchange.simulator.matching import WALK_RANGE, Market, Matching
from tests.exchange.simulator.client import AT_ONCE, Client, exchange


async def _events(client: Client) -> list[str]:
    return [event["event"] for event in await client.events()]


async def _fills(client: Client) -> list[dict[str, Any]]:
    return [event for event in await client.events() if event["execution_id"] is not None]


async def test_a_market_order_fills_in_slices_that_add_up() -> None:
    async with exchange(matching=Matching(fill_delay_ms=1, fills_per_order=4)) as client:
        order = await client.placed(qty="11")

        filled = await client.until_status(order["id"], "filled")
        fills = await _fills(client)

        assert await _events(client) == ["new", "partial_fill", "partial_fill", "partial_fill", "fill"]
        assert [fill["filled_qty"] for fill in fills] == ["2", "5", "8", "11"]
        notional = sum((Decimal(fill["qty"]) * Decimal(fill["price"]) for fill in fills), Decimal(0))
        assert Decimal(filled["filled_avg_price"]) == (notional / 11).quantize(Decimal("0.000001"))
        assert (filled["filled_qty"], filled["filled_at"]) == ("11", fills[-1]["at"])


async def test_an_order_of_one_share_fills_in_one_execution() -> None:
    async with exchange(matching=AT_ONCE) as client:
        order = await client.placed(qty="1")

        await client.until_status(order["id"], "filled")

        assert await _events(client) == ["new", "fill"]


async def test_a_limit_order_never_fills_at_a_worse_price() -> None:
    async with exchange(matching=Matching(fill_delay_ms=0, fills_per_order=50)) as client:
        order = await client.placed(qty="50", type="limit", limit_price="232.41", time_in_force="gtc")
        while Decimal((await client.order(order["id"]))["filled_qty"]) == 0:
            pass

        assert all(Decimal(fill["price"]) <= Decimal("232.41") for fill in await _fills(client))


async def test_a_limit_far_from_the_market_rests() -> None:
    async with exchange(matching=AT_ONCE) as client:
        resting = await client.placed(type="limit", limit_price="100", time_in_force="gtc")
        filled = await client.placed()
        await client.until_status(filled["id"], "filled")

        assert (await client.order(resting["id"]))["status"] == "new"


@pytest.mark.parametrize("time_in_force", ["ioc", "fok"])
async def test_an_immediate_order_that_is_not_marketable_is_canceled_immediately(time_in_force: str) -> None:
    async with exchange(matching=AT_ONCE) as client:
        order = await client.placed(type="limit", limit_price="100", time_in_force=time_in_force)
        await client.until_status(order["id"], "canceled")

        assert await _events(client) == ["new", "canceled"]


@pytest.mark.parametrize("time_in_force", ["ioc", "fok"])
async def test_an_immediate_order_that_the_market_takes_fills_whole(time_in_force: str) -> None:
    async with exchange(matching=Matching(fill_delay_ms=60_000)) as client:
        order = await client.placed(type="limit", limit_price="300", time_in_force=time_in_force)
        await client.until_status(order["id"], "filled")

        assert await _events(client) == ["new", "fill"]


async def test_in_manual_mode_only_a_control_executes() -> None:
    async with exchange() as client:
        order = await client.placed(client_order_id="by hand")

        _, first = await client.call(
            "POST", "/simulator/fills", {"client_order_id": "by hand", "qty": "4", "price": "230.5"}
        )
        _, second = await client.call("POST", "/simulator/fills", {"order_id": order["id"], "price": 231})

        assert (first["qty"], first["filled_qty"], first["status"]) == ("4", "4", "partially_filled")
        assert (second["qty"], second["filled_qty"], second["status"]) == ("6", "10", "filled")
        assert (await client.order(order["id"]))["filled_avg_price"] == "230.8"


async def test_open_orders_continue_when_the_matching_is_automatic_again() -> None:
    async with exchange() as client:
        order = await client.placed()

        await client.call("PUT", "/simulator/matching", {"mode": "auto", "fill_delay_ms": 0})

        await client.until_status(order["id"], "filled")


async def test_more_than_is_left_is_filled_only_by_force() -> None:
    async with exchange() as client:
        order = await client.placed()
        body = {"order_id": order["id"], "qty": "12", "price": "230"}

        refused = await client.call("POST", "/simulator/fills", body)
        forced = await client.call("POST", "/simulator/fills", {**body, "force": True})

    assert refused[0] == 422
    assert (forced[0], forced[1]["filled_qty"]) == (200, "12")


async def test_a_canceled_order_can_be_filled_late_by_force_and_stays_canceled() -> None:
    async with exchange() as client:
        order = await client.placed()
        await client.call("DELETE", f"/v2/orders/{order['id']}")

        assert (await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "3"}))[0] == 422
        await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "3", "force": True})

        late = await client.order(order["id"])
        assert (late["status"], late["filled_qty"]) == ("canceled", "3")


async def test_a_busted_execution_no_longer_counts() -> None:
    async with exchange() as client:
        order = await client.placed()
        _, fill = await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "4"})

        assert (await client.call("POST", "/simulator/bust", {"execution_id": fill["execution_id"]}))[0] == 200
        again = await client.call("POST", "/simulator/bust", {"execution_id": fill["execution_id"]})

        assert again[0] == 404
        assert (await client.order(order["id"]))["filled_qty"] == "0"
        assert (await client.call("GET", "/v2/account/activities/FILL")) == (200, [])
        assert (await client.call("GET", "/v2/positions")) == (200, [])
        assert (await client.events())[-1]["reason"] == "TRADE_BUST"


async def test_a_corrected_execution_counts_as_corrected() -> None:
    async with exchange() as client:
        order = await client.placed()
        _, fill = await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "4", "price": "230"})

        body = {"execution_id": fill["execution_id"], "qty": "3", "price": "229"}
        assert (await client.call("POST", "/simulator/correct", body))[0] == 200

        corrected = await client.order(order["id"])
        assert (corrected["filled_qty"], corrected["filled_avg_price"]) == ("3", "229")


@pytest.mark.parametrize(
    ("changes", "key"), [({"mode": "odd"}, "mode"), ({"fills_per_order": 0}, "fills_per_order"), ({"x": 1}, "x")]
)
async def test_wrong_matching_settings_are_refused_by_their_key(changes: dict[str, object], key: str) -> None:
    async with exchange() as client:
        status, error = await client.call("PUT", "/simulator/matching", changes)

    assert status == 400
    assert error["message"].startswith(f"{key} ")


def test_the_walk_repeats_by_seed_and_stays_near_the_reference_price() -> None:
    instrument = listed_instruments()[0]
    one, other = Market(Random(3)), Market(Random(3))

    prices = [one.walk(instrument) for _ in range(5000)]

    assert prices == [other.walk(instrument) for _ in range(5000)]
    assert len(set(prices)) > 10
    assert all(abs(price - instrument.reference_price) <= instrument.reference_price * WALK_RANGE for price in prices)
