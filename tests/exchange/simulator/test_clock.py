"""The venue's clock can differ from ours, ahead or behind."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tests.exchange.simulator.client import Client, exchange

HOUR_SECONDS = 3600


async def _set(client: Client, offset_seconds: float) -> None:
    answer = await client.call("PUT", "/simulator/clock", {"offset_seconds": offset_seconds})
    assert answer == (200, {"offset_seconds": offset_seconds})


def _hours_from_now(text: str) -> int:
    return round((datetime.fromisoformat(text) - datetime.now(UTC)) / timedelta(hours=1))


async def test_every_time_on_the_wire_is_by_the_venues_clock() -> None:
    async with exchange() as client:
        await _set(client, 2 * HOUR_SECONDS)
        order = await client.placed(time_in_force="gtc")
        await client.call("POST", "/simulator/fills", {"order_id": order["id"]})
        _, clock = await client.call("GET", "/v2/clock")
        _, activities = await client.call("GET", "/v2/account/activities/FILL")
        answered = await client.session.get(f"{client.simulator.url}/v2/clock")

    times = [clock["timestamp"], order["submitted_at"], activities[0]["transaction_time"]]
    assert [_hours_from_now(each) for each in times] == [2, 2, 2]
    assert round((parsedate_to_datetime(answered.headers["Date"]) - datetime.now(UTC)) / timedelta(hours=1)) == 2


async def test_a_rate_limit_ends_by_the_venues_clock() -> None:
    async with exchange() as client:
        await _set(client, -HOUR_SECONDS)
        await client.set_faults(requests_per_minute=1)
        answered = await client.session.get(f"{client.simulator.url}/v2/clock")

    reset = datetime.fromtimestamp(int(answered.headers["X-Ratelimit-Reset"]), UTC)
    assert _hours_from_now(reset.isoformat()) == -1


async def test_a_clock_set_back_leaves_every_order_and_fill_found_in_the_order_of_its_time() -> None:
    async with exchange() as client:
        orders = []
        for offset_seconds in (2 * HOUR_SECONDS, -2 * HOUR_SECONDS, 0):
            await _set(client, offset_seconds)
            orders.append(await client.placed(time_in_force="gtc"))
            await client.call("POST", "/simulator/fills", {"order_id": orders[-1]["id"], "qty": "1"})
        ahead, behind, now = [order["id"] for order in orders]

        _, rows = await client.call("GET", "/v2/orders", direction="asc")
        _, every = await client.call("GET", "/v2/orders", direction="asc", status="all")
        _, later = await client.call("GET", "/v2/orders", direction="asc", after=orders[1]["submitted_at"])
        _, first = await client.call("GET", "/v2/account/activities/FILL", direction="asc", page_size="1")
        query = {"direction": "asc", "page_token": first[0]["id"]}
        _, rest = await client.call("GET", "/v2/account/activities/FILL", **query)

    assert [row["id"] for row in rows] == [behind, now, ahead]
    assert every == rows
    assert [row["id"] for row in later] == [now, ahead]
    assert [each["order_id"] for each in first + rest] == [behind, now, ahead]


async def test_a_clock_set_past_the_end_of_the_day_ends_it() -> None:
    async with exchange() as client:
        order = await client.placed()
        kept = await client.placed(time_in_force="gtc")
        await _set(client, 24 * HOUR_SECONDS)

        assert (await client.order(order["id"]))["status"] == "expired"
        assert (await client.order(kept["id"]))["status"] != "expired"


async def test_an_offset_that_is_no_number_of_a_year_at_most_is_refused() -> None:
    async with exchange() as client:
        for wrong in ({}, {"offset_seconds": "1"}, {"offset_seconds": 31_536_001}):
            assert (await client.call("PUT", "/simulator/clock", wrong))[0] == 400
