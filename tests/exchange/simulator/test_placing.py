"""Orders are accepted or refused as the broker does it."""

import asyncio

import pytest

from tests.exchange.simulator.client import AT_ONCE, KEYS, exchange

WIRE_KEYS = {
    "id",
    "client_order_id",
    "created_at",
    "updated_at",
    "submitted_at",
    "filled_at",
    "expired_at",
    "canceled_at",
    "failed_at",
    "replaced_at",
    "replaced_by",
    "replaces",
    "asset_id",
    "symbol",
    "asset_class",
    "notional",
    "qty",
    "filled_qty",
    "filled_avg_price",
    "order_class",
    "order_type",
    "type",
    "side",
    "time_in_force",
    "limit_price",
    "stop_price",
    "status",
    "extended_hours",
    "legs",
    "trail_percent",
    "trail_price",
    "hwm",
}


async def test_an_accepted_order_is_answered_with_every_key_and_decimals_as_text() -> None:
    async with exchange() as client:
        order = await client.placed(
            client_order_id="mine", qty=7, type="limit", limit_price=100.5, side="sell", time_in_force="gtc"
        )

    assert set(order) == WIRE_KEYS
    assert (order["client_order_id"], order["status"]) == ("mine", "accepted")
    assert (order["qty"], order["limit_price"], order["filled_qty"]) == ("7", "100.5", "0")
    assert order["created_at"] == order["submitted_at"] <= order["updated_at"]
    assert order["filled_avg_price"] is None


async def test_an_order_without_a_client_order_id_gets_one() -> None:
    async with exchange() as client:
        one, other = await client.placed(), await client.placed(client_order_id=None)

    assert one["client_order_id"] != other["client_order_id"]


async def test_a_client_order_id_stays_taken_after_its_order_has_ended() -> None:
    async with exchange(matching=AT_ONCE) as client:
        order = await client.placed(client_order_id="once")
        await client.until_status(order["id"], "filled")

        status, error = await client.place(client_order_id="once")

    assert (status, error) == (422, {"code": 40010001, "message": "client_order_id must be unique"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbol": None}, "symbol is required"),
        ({"symbol": "NOPE"}, 'asset "NOPE" not found'),
        ({"symbol": "TWTR"}, 'asset "TWTR" is not tradable'),
        ({"side": "hold"}, "invalid side: must be one of buy, sell"),
        ({"type": "stop"}, "invalid type: must be one of market, limit"),
        ({"time_in_force": "opg"}, "invalid time_in_force: must be one of day, gtc, ioc, fok"),
        ({"time_in_force": None}, "time_in_force is required"),
        ({"qty": None}, "qty is required"),
        ({"qty": "0"}, "qty must be a number greater than 0 and at most 1000000000"),
        ({"qty": "NaN"}, "qty must be a number greater than 0 and at most 1000000000"),
        ({"qty": "many"}, "qty must be a number greater than 0 and at most 1000000000"),
        ({"qty": "1.5"}, "qty must be a multiple of the lot size 1"),
        ({"type": "limit"}, "limit orders require a limit_price"),
        ({"limit_price": "5"}, "market orders must not have a limit_price"),
        ({"type": "limit", "limit_price": "5.005"}, "limit_price must be a multiple of the tick size 0.01"),
        ({"type": "limit", "limit_price": "-5"}, "limit_price must be a number greater than 0 and at most 10000000"),
        ({"notional": "100"}, "notional is not supported"),
        ({"order_class": "bracket"}, "order_class must be simple"),
        ({"client_order_id": "x" * 129}, "client_order_id must be a string of at most 128 characters"),
    ],
)
async def test_an_invalid_order_is_refused_with_the_reason(changes: dict[str, object], message: str) -> None:
    async with exchange() as client:
        status, error = await client.place(**changes)

        assert (status, error["message"]) == (422, message)
        assert await client.journal() == []


async def test_an_order_beyond_the_buying_power_is_forbidden() -> None:
    async with exchange() as client:
        status, error = await client.place(qty="100000000")

    assert (status, error) == (403, {"code": 40310000, "message": "insufficient buying power"})


async def test_a_body_that_is_no_json_object_is_a_bad_request() -> None:
    async with exchange() as client:
        url = client.simulator.url + "/v2/orders"
        async with client.session.post(url, data=b"{", headers=KEYS) as response:
            assert response.status == 400
        assert (await client.call("POST", "/v2/orders", []))[0] == 400


async def test_wrong_keys_are_not_authorized() -> None:
    async with exchange() as client:
        headers = {**KEYS, "APCA-API-SECRET-KEY": "wrong"}
        async with client.session.get(client.simulator.url + "/v2/account", headers=headers) as response:
            assert response.status == 401
            assert (await response.json())["code"] == 40110000


async def test_of_many_placements_with_one_client_order_id_one_is_accepted() -> None:
    async with exchange() as client:
        answers = await asyncio.gather(*(client.place(client_order_id="same") for _ in range(20)))

    assert sorted(status for status, _ in answers) == [200] + [422] * 19


async def test_a_request_over_the_rate_limit_is_not_executed_and_gets_the_time_to_retry() -> None:
    async with exchange() as client:
        await client.set_faults(requests_per_minute=1)
        url = client.simulator.url + "/v2/clock"

        # Two windows may be met, never three: of three requests at least one is over the limit.
        statuses = set()
        for _ in range(3):
            async with client.session.get(url, headers=KEYS) as response:
                statuses.add(response.status)
                assert response.headers["X-Ratelimit-Limit"] == "1"
                assert response.headers["X-Ratelimit-Remaining"] == "0"
                assert int(response.headers["X-Ratelimit-Reset"]) % 60 == 0

    assert statuses == {200, 429}
