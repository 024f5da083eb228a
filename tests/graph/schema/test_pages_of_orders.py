"""Pages of orders: forwards, backwards, filtered and sorted."""

from datetime import timedelta

import pytest

from graph.schema.scalars import write_date_time
from tests.support.api_instruments import SAP
from tests.support.api_server import Api, Json
from tests.support.api_world import START
from tests.support.examples import filled
from tests.support.graphql_orders import key_of, limit_order, place, placed_id

PAGE = """
query Page($first: Int, $after: String, $last: Int, $before: String, $filter: OrderFilter, $sort: OrderSort) {
  orders(first: $first, after: $after, last: $last, before: $before, filter: $filter, sort: $sort) {
    edges { cursor node { clientOrderId } }
    nodes { clientOrderId }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


async def page(api: Api, **arguments: object) -> Json:
    orders: Json = (await api.data(PAGE, arguments))["orders"]
    return orders


def names(orders: Json) -> list[str]:
    return [node["clientOrderId"] for node in orders["nodes"]]


async def five_orders(api: Api) -> list[str]:
    """Five orders named 1 to 5, oldest first."""
    return [await placed_id(api, str(number)) for number in range(1, 6)]


async def test_pages_forwards_cover_all_orders_newest_first(api: Api) -> None:
    await five_orders(api)

    first = await page(api, first=2)
    second = await page(api, first=2, after=first["pageInfo"]["endCursor"])
    third = await page(api, first=2, after=second["pageInfo"]["endCursor"])

    assert [names(first), names(second), names(third)] == [["5", "4"], ["3", "2"], ["1"]]
    assert [part["pageInfo"]["hasNextPage"] for part in (first, second, third)] == [True, True, False]
    assert [part["pageInfo"]["hasPreviousPage"] for part in (first, second, third)] == [False, True, True]
    assert first["pageInfo"]["startCursor"] == first["edges"][0]["cursor"]


async def test_backward_pages_are_in_the_same_order(api: Api) -> None:
    await five_orders(api)

    last = await page(api, last=2)
    before = await page(api, last=2, before=last["pageInfo"]["startCursor"])

    assert [names(last), names(before)] == [["2", "1"], ["4", "3"]]
    assert before["pageInfo"]["hasPreviousPage"] is True


async def test_orders_that_arrive_while_paging_neither_repeat_nor_hide_others(api: Api) -> None:
    await five_orders(api)
    first = await page(api, first=2)

    await placed_id(api, "6")
    second = await page(api, first=2, after=first["pageInfo"]["endCursor"])

    assert names(second) == ["3", "2"]


async def test_first_and_last_together_select_the_end_of_the_first(api: Api) -> None:
    await five_orders(api)

    both = await page(api, first=4, last=2)

    assert names(both) == ["3", "2"]
    assert both["pageInfo"]["hasNextPage"] is True
    assert both["pageInfo"]["hasPreviousPage"] is True


async def test_an_empty_page_still_shows_whether_there_is_more(api: Api) -> None:
    await five_orders(api)

    nothing = await page(api, first=0)

    assert names(nothing) == []
    assert nothing["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }


async def test_without_a_size_the_page_is_fifty(api: Api) -> None:
    for number in range(51):
        await placed_id(api, str(number))

    orders = await page(api)

    assert len(names(orders)) == 50
    assert orders["pageInfo"]["hasNextPage"] is True


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"first": 101}, "PAGE_TOO_LARGE"),
        ({"last": 101}, "PAGE_TOO_LARGE"),
        ({"first": -1}, "BAD_USER_INPUT"),
        ({"last": -1}, "BAD_USER_INPUT"),
        ({"first": 3_000_000_000}, "BAD_USER_INPUT"),
        ({"after": "nonsense"}, "BAD_CURSOR"),
        ({"before": "nonsense"}, "BAD_CURSOR"),
        ({"filter": {"isins": ["US0378331006"]}}, "BAD_USER_INPUT"),
        ({"filter": {"createdFrom": "yesterday"}}, "BAD_USER_INPUT"),
        ({"filter": {"accountId": "bob"}}, "FORBIDDEN"),
    ],
)
async def test_arguments_of_a_page_that_cannot_be_used_are_an_error_with_a_code(
    api: Api, arguments: Json, code: str
) -> None:
    assert (await api.error(PAGE, arguments))["extensions"]["code"] == code


async def test_orders_are_filtered_and_sorted_as_requested(api: Api) -> None:
    ids = await five_orders(api)
    await place(api, limit_order("6", isin=SAP.isin, side="SELL"))
    await api.world.report(key_of(ids[1]), filled("10"))
    second = api.world.orders.rows[key_of(ids[1])].order

    assert names(await page(api, sort="CREATED_ASC")) == ["1", "2", "3", "4", "5", "6"]
    assert names(await page(api, sort="UPDATED_DESC"))[0] == "2"
    assert names(await page(api, filter={"statuses": ["FILLED"]})) == ["2"]
    assert names(await page(api, filter={"statuses": []})) == []
    assert names(await page(api, filter={"isFinal": False, "side": "BUY"})) == ["5", "4", "3", "1"]
    assert names(await page(api, filter={"isFinal": True})) == ["2"]
    assert names(await page(api, filter={"isins": [SAP.isin]})) == ["6"]
    assert names(await page(api, filter={"createdBefore": write_date_time(second.created_at)})) == ["1"]
    assert names(await page(api, filter={"updatedFrom": write_date_time(second.updated_at)})) == ["2"]
    assert names(await page(api, filter={"createdFrom": write_date_time(START + timedelta(days=1))})) == []
    assert len(names(await page(api, filter=None, sort=None, first=None))) == 6
