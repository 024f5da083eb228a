"""Orders, activities, assets and the account can be looked up as with the broker."""

from typing import Any

import pytest

from tests.exchange.simulator.client import AT_ONCE, Client, exchange


async def _ids(client: Client, **query: str) -> list[str]:
    _, orders = await client.call("GET", "/v2/orders", **query)
    return [order["client_order_id"] for order in orders]


async def _three_orders(client: Client) -> list[dict[str, Any]]:
    """Create a sale of Microsoft, then a canceled and an open purchase of Apple."""
    orders = [
        await client.placed(client_order_id="a", symbol="MSFT", side="sell"),
        await client.placed(client_order_id="b"),
        await client.placed(client_order_id="c"),
    ]
    assert (await client.call("DELETE", f"/v2/orders/{orders[1]['id']}")) == (204, "")
    return orders


async def test_an_order_is_found_by_both_of_its_ids() -> None:
    async with exchange() as client:
        order = await client.placed(client_order_id="find me")

        by_id = await client.order(order["id"])
        _, by_client_order_id = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="find me")

    assert by_id["id"] == by_client_order_id["id"] == order["id"]


async def test_an_unknown_order_is_not_found() -> None:
    async with exchange() as client:
        by_id = await client.call("GET", "/v2/orders/3fa85f64-5717-4562-b3fc-2c963f66afa6")
        by_client_order_id = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="none")

    assert (by_id[0], by_client_order_id[0]) == (404, 404)
    assert by_client_order_id[1] == {"code": 40410000, "message": "order not found for none"}


async def test_the_list_shows_open_orders_newest_first_by_default() -> None:
    async with exchange() as client:
        await _three_orders(client)

        assert await _ids(client) == ["c", "a"]
        assert await _ids(client, status="closed") == ["b"]
        assert await _ids(client, status="all", direction="asc") == ["a", "b", "c"]
        assert await _ids(client, status="all", limit="2") == ["c", "b"]
        assert await _ids(client, status="all", symbols="MSFT,TSLA") == ["a"]
        assert await _ids(client, status="all", side="buy", nested="true") == ["c", "b"]


async def test_after_and_until_exclude_the_time_itself() -> None:
    async with exchange() as client:
        a, b, c = await _three_orders(client)

        assert await _ids(client, status="all", after=a["submitted_at"]) == ["c", "b"]
        assert await _ids(client, status="all", until=c["submitted_at"]) == ["b", "a"]
        assert await _ids(client, status="all", after=b["submitted_at"], until=c["submitted_at"]) == []


async def test_paging_by_the_last_submission_time_misses_no_open_order() -> None:
    async with exchange() as client:
        placed = [(await client.placed())["client_order_id"] for _ in range(23)]

        paged: list[str] = []
        bound: dict[str, str] = {}
        while orders := (await client.call("GET", "/v2/orders", limit="5", direction="asc", **bound))[1]:
            paged.extend(order["client_order_id"] for order in orders)
            bound = {"after": orders[-1]["submitted_at"]}

    assert paged == placed


@pytest.mark.parametrize(
    "query", [{"status": "new"}, {"limit": "501"}, {"limit": "0"}, {"after": "then"}, {"direction": "up"}]
)
async def test_a_wrong_query_is_invalid(query: dict[str, str]) -> None:
    async with exchange() as client:
        status, error = await client.call("GET", "/v2/orders", **query)

    assert status == 422
    assert next(iter(query)) in error["message"]


async def test_fill_activities_contain_every_execution_and_page_by_their_ids() -> None:
    async with exchange(matching=AT_ONCE) as client:
        order = await client.placed()
        await client.until_status(order["id"], "filled")

        _, pages = await client.call("GET", "/v2/account/activities/FILL", direction="asc")
        _, first = await client.call("GET", "/v2/account/activities/FILL", direction="asc", page_size="2")
        _, rest = await client.call("GET", "/v2/account/activities/FILL", direction="asc", page_token=first[-1]["id"])
        _, newest = await client.call("GET", "/v2/account/activities/FILL", page_size="1")

    assert first + rest == pages
    assert newest == [pages[-1]]
    assert [(each["qty"], each["cum_qty"], each["leaves_qty"], each["type"]) for each in pages] == [
        ("3", "3", "7", "partial_fill"),
        ("3", "6", "4", "partial_fill"),
        ("4", "10", "0", "fill"),
    ]
    assert {each["order_id"] for each in pages} == {order["id"]}


async def test_an_activity_carries_the_execution_id_of_the_stream() -> None:
    async with exchange(matching=AT_ONCE) as client:
        order = await client.placed(time_in_force="ioc")
        await client.until_status(order["id"], "filled")

        _, (activity,) = await client.call("GET", "/v2/account/activities/FILL")
        executions = [event["execution_id"] for event in await client.events() if event["event"] == "fill"]

    assert activity["id"].partition("::")[2] == executions[0]


async def test_assets_have_the_brokers_fields_and_isin_currency_tick_and_lot() -> None:
    async with exchange() as client:
        _, assets = await client.call("GET", "/v2/assets")
        _, active = await client.call("GET", "/v2/assets", status="active", asset_class="us_equity")
        _, apple = await client.call("GET", "/v2/assets/AAPL")
        by_id = await client.call("GET", f"/v2/assets/{apple['id']}")
        unknown = await client.call("GET", "/v2/assets/NOPE")

    assert apple == {**apple, "isin": "US0378331005", "currency": "USD", "tick_size": "0.01", "lot_size": "1"}
    assert by_id == (200, apple)
    assert unknown[0] == 404
    assert {each["symbol"] for each in assets} - {each["symbol"] for each in active} == {"TWTR", "ATVI", "VMW"}


async def test_the_position_follows_the_executions() -> None:
    async with exchange(matching=AT_ONCE) as client:
        order = await client.placed(time_in_force="ioc", side="sell", qty="4")
        await client.until_status(order["id"], "filled")

        _, positions = await client.call("GET", "/v2/positions")
        one = await client.call("GET", "/v2/positions/AAPL")
        none = await client.call("GET", "/v2/positions/MSFT")

    assert [(each["symbol"], each["qty"], each["side"]) for each in positions] == [("AAPL", "-4", "short")]
    assert one == (200, positions[0])
    assert none[0] == 404


async def test_the_account_is_active_and_the_exchange_open() -> None:
    async with exchange() as client:
        _, account = await client.call("GET", "/v2/account")
        _, clock = await client.call("GET", "/v2/clock")

    assert (account["status"], account["currency"], account["trading_blocked"]) == ("ACTIVE", "USD", False)
    assert clock["is_open"] is True
    assert clock["next_close"] > clock["timestamp"]


async def test_what_the_exchange_does_not_offer_is_not_found() -> None:
    async with exchange() as client:
        assert (await client.call("GET", "/v2/watchlists"))[0] == 404
        assert (await client.call("POST", "/v2/positions"))[0] == 405
        assert (await client.call("GET", "/elsewhere"))[0] == 404
