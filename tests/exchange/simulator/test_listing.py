"""The list of activities as a venue shows it: late, with holes, or by order."""

from tests.exchange.simulator.client import Client, exchange


async def listed(client: Client, query: str = "") -> list[str]:
    """Return the execution ids of the list."""
    _, rows = await client.call("GET", f"/v2/account/activities/FILL?direction=asc{query}")
    return [row["id"].partition("::")[2] for row in rows]


async def two_fills(client: Client) -> tuple[str, str, str]:
    """Fill an order twice; return its id and those of the executions."""
    order = await client.placed()
    ids = []
    for _ in range(2):
        _, fill = await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "1"})
        ids.append(fill["execution_id"])
    return order["id"], ids[0], ids[1]


async def test_an_omitted_row_is_listed_only_by_its_order() -> None:
    async with exchange() as client:
        order_id, first, second = await two_fills(client)
        await client.call("PUT", "/simulator/listing", {"omitted": [first]})

        assert await listed(client) == [second]
        assert await listed(client, f"&order_id={order_id}") == [first, second]
        assert await listed(client, "&order_id=another") == []


async def test_a_hidden_row_is_listed_nowhere_and_a_late_one_later() -> None:
    async with exchange() as client:
        order_id, first, second = await two_fills(client)
        await client.call("PUT", "/simulator/listing", {"hidden": [first]})
        assert await listed(client, f"&order_id={order_id}") == [second]

        await client.call("PUT", "/simulator/listing", {"late_seconds": 60})
        assert await listed(client) == []
        await client.call("PUT", "/simulator/clock", {"offset_seconds": 61})
        assert await listed(client) == [first, second]


async def test_a_wrong_listing_is_refused() -> None:
    bodies: list[dict[str, object]] = [{"late_seconds": -1}, {"omitted": "all"}, {"hidden": [1]}, {"unknown": []}]
    async with exchange() as client:
        for body in bodies:
            assert (await client.call("PUT", "/simulator/listing", body))[0] == 400
