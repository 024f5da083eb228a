"""The venue's lists: paged to their end, with external rows of any kind."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp import web

from domain.model.errors import VenueUnreachableError
from domain.model.reports import OrderFilled
from domain.ports.venue import FoundOrder, OrdersPage, VenueReport
from exchange.alpaca.rest import AlpacaVenue
from tests.exchange.test_transport import NOW, ORDER, Handler, answering, reaching, serving, settings
from tests.support.fakes.telemetry import RecordingTelemetry

PAGES_MAX = 20
ACTIVITY: dict[str, object] = {
    "activity_type": "FILL",
    "id": "20260105080001234::e1",
    "order_id": "v1",
    "transaction_time": "2026-01-05T08:00:01Z",
    "qty": "1",
    "price": "12.5",
    "cum_qty": "1",
}


def paged_orders(total: int) -> tuple[list[dict[str, object]], Handler]:
    """Return a list of open orders, of which two always share their submission time, and a server that pages
    through it.
    """
    orders: list[dict[str, object]] = [
        ORDER | {"id": f"v{n}", "submitted_at": f"2026-01-05T08:00:00.{n // 2:06d}500Z"} for n in range(total)
    ]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        after = request.query.get("after", "")
        newer = [order for order in orders if str(order["submitted_at"]) > after.replace("Z", "000Z")]
        return web.json_response(newer[: int(request.query["limit"])])

    return orders, answer


async def all_open_orders(venue: AlpacaVenue) -> list[FoundOrder]:
    return await all_orders(lambda page: venue.open_orders(page=page))


async def all_closed_orders(venue: AlpacaVenue) -> list[FoundOrder]:
    return await all_orders(lambda page: venue.closed_orders(since=NOW - timedelta(days=1), page=page))


async def all_orders(read_page: Callable[[str | None], Awaitable[OrdersPage]]) -> list[FoundOrder]:
    """Read every page; an order may be on two of them."""
    found: dict[str, FoundOrder] = {}
    page: str | None = None
    for _ in range(PAGES_MAX):
        read = await read_page(page)
        found.update((order.venue_order_id, order) for order in read.orders)
        page = read.next_page
        if page is None:
            return list(found.values())
    raise AssertionError("the list has no end")


@pytest.mark.parametrize("total", [0, 1, 499, 500, 501, 1203])
async def test_all_pages_of_open_orders_are_read_also_when_submission_times_are_equal(total: int) -> None:
    orders, answer = paged_orders(total)

    async with serving(answer) as url, reaching(settings(url)) as venue:
        found = await all_open_orders(venue)

    assert [order.venue_order_id for order in found] == [order["id"] for order in orders]


@pytest.mark.parametrize("submitted_at", ["2026-01-05T08:00:00.5Z", "unreadable", None])
async def test_a_whole_page_without_times_that_lead_further_is_paged_by_ids(submitted_at: str | None) -> None:
    times = {"submitted_at": submitted_at, "created_at": submitted_at}
    orders = [ORDER | times | {"id": f"v{n}"} for n in range(1203)]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        start = request.query.get("after_order_id")
        first = 0 if start is None else int(start.removeprefix("v")) + 1
        return web.json_response(orders[first : first + 500])

    async with serving(answer) as url, reaching(settings(url)) as venue:
        found = await all_open_orders(venue)

    assert len(found) == 1203


@pytest.mark.parametrize("total", [0, 1, 499, 500, 501, 1203])
async def test_all_pages_of_closed_orders_are_read_the_newest_first(total: int) -> None:
    orders, _ = paged_orders(total)
    asked = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.query)
        until = request.query.get("until", "3000-01-01T00:00:00.000000Z")
        older = [order for order in reversed(orders) if str(order["submitted_at"]) < until.replace("Z", "000Z")]
        return web.json_response(older[: int(request.query["limit"])])

    async with serving(answer) as url, reaching(settings(url)) as venue:
        found = await all_closed_orders(venue)

    assert {order.venue_order_id for order in found} == {order["id"] for order in orders}
    assert all((one["status"], one["direction"]) == ("closed", "desc") and "after" in one for one in asked)


async def test_a_whole_page_of_closed_orders_of_one_moment_is_paged_by_ids_without_a_time() -> None:
    orders = [ORDER | {"id": f"v{n}", "submitted_at": "2026-01-05T08:00:00.5Z"} for n in range(1203)]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        start = request.query.get("before_order_id")
        if start is not None and ("after" in request.query or "until" in request.query):
            return web.json_response({"code": 42210000, "message": "exclusive"}, status=422)
        first = 0 if start is None else int(start.removeprefix("v")) + 1
        return web.json_response(orders[first : first + 500])

    async with serving(answer) as url, reaching(settings(url)) as venue:
        found = await all_closed_orders(venue)

    assert len(found) == 1203


async def test_an_endless_list_is_abandoned() -> None:
    endless = answering(lambda: web.json_response([ORDER | {"id": f"v{n}"} for n in range(500)]))

    async with serving(endless) as url, reaching(settings(url)) as venue:
        with pytest.raises(VenueUnreachableError, match="no end"):
            await all_open_orders(venue)


@pytest.mark.parametrize("row", [ORDER | {"qty": "ten"}, {"id": None}, {}, None, 7, "order", [ORDER]])
async def test_a_row_that_cannot_be_read_does_not_hide_the_others_and_is_logged(row: object) -> None:
    rows = [row, ORDER | {"id": "v2"}]
    telemetry = RecordingTelemetry()

    async with (
        serving(answering(lambda: web.json_response(rows))) as url,
        reaching(settings(url), telemetry=telemetry) as venue,
    ):
        found = await all_open_orders(venue)

    assert "v2" in [order.venue_order_id for order in found]
    assert len(telemetry.said("venue_row_unreadable")) == 1


@pytest.mark.parametrize("last", [ACTIVITY | {"id": None}, None, {"activity_type": "DIV"}])
async def test_a_page_of_fills_that_ends_with_a_row_without_an_id_is_followed_by_the_next(last: object) -> None:
    rows: list[object] = [ACTIVITY | {"id": f"20260105080001234::e{n}"} for n in range(150)]
    rows[99] = last

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        token = request.query.get("page_token")
        first = 0 if token is None else int(token.partition("::e")[2]) + 1
        return web.json_response(rows[first : first + 100])

    async with serving(answer) as url, reaching(settings(url)) as venue:
        fills = [fill async for page in venue.fills(since=NOW) for fill in page if isinstance(fill, VenueReport)]

    assert {
        report.venue_execution_id for fill in fills for report in fill.reports if isinstance(report, OrderFilled)
    } == {f"e{n}" for n in range(150) if n != 99}
