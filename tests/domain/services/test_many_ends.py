"""Many orders that end at the same time without a report, as at the close: few requests for any number of orders."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from domain.model.errors import VenueBusyError, VenueUnreachableError
from domain.model.order import End, OrderStatus
from domain.ports.venue import OrdersPage
from domain.services.look_up_schedule import LOOK_UPS_PER_PAGE
from tests.support.examples import ended, name_of
from tests.support.fakes.venue import ScriptedVenue
from tests.support.memory_gateway import SECOND, Desk

AT_ONCE = timedelta(0)


@dataclass(slots=True)
class ClosedListFails(ScriptedVenue):
    """A venue that does not return its closed orders."""

    failure: VenueUnreachableError = field(default_factory=lambda: VenueUnreachableError("HTTP 500"))

    async def closed_orders(self, *, since: datetime, page: str | None = None) -> OrdersPage:
        await ScriptedVenue.closed_orders(self, since=since, page=page)
        raise self.failure


async def with_orders(count: int) -> tuple[Desk, list[UUID]]:
    """Return a desk with orders at the venue."""
    desk = Desk(look_ups_max=500)
    order_ids = [UUID(int=number) for number in range(100, 100 + count)]
    for number, order_id in enumerate(order_ids):
        await desk.store(order_id, client_order_id=f"order-{number}")
    await desk.submission.submit(order_ids)
    desk.venue.asked.clear()
    return desk, order_ids


def end_all(desk: Desk, order_ids: list[UUID], end: End = End.EXPIRED) -> None:
    for order_id in order_ids:
        order = desk.venue.orders[name_of(order_id)]
        desk.venue.orders[name_of(order_id)] = replace(order, is_open=False, reports=[*order.reports, ended(end)])


def statuses(desk: Desk, order_ids: list[UUID]) -> set[OrderStatus]:
    return {desk.order(order_id).status for order_id in order_ids}


async def test_500_orders_that_end_at_the_close_are_read_by_page() -> None:
    desk, order_ids = await with_orders(500)
    end_all(desk, order_ids)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert statuses(desk, order_ids) == {OrderStatus.EXPIRED}
    assert desk.venue.asked == ["closed"]


async def test_500_orders_that_fill_without_a_report_are_read_by_page_with_one_read_of_the_fills() -> None:
    desk, order_ids = await with_orders(500)
    for order_id in order_ids:
        desk.venue.fill(name_of(order_id), quantity=Decimal(10), price=Decimal(1))
    fills = [fill for page in desk.venue.fill_pages for fill in page]
    desk.venue.fill_pages = [fills[start : start + 100] for start in range(0, 500, 100)]

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert statuses(desk, order_ids) == {OrderStatus.FILLED}
    assert desk.venue.asked == ["closed"]
    assert len(desk.venue.fills_since) == 1


async def test_the_pages_are_read_to_the_oldest_order_that_is_lacking() -> None:
    desk, order_ids = await with_orders(60)
    desk.venue.page_rows = 25
    end_all(desk, order_ids)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert statuses(desk, order_ids) == {OrderStatus.EXPIRED}
    assert desk.venue.asked == ["closed"] * 3


async def test_an_order_that_the_list_does_not_show_is_looked_up() -> None:
    desk, order_ids = await with_orders(30)
    end_all(desk, order_ids)
    late = name_of(order_ids[7])
    desk.venue.orders[late] = replace(desk.venue.orders[late], submitted_at=desk.clock() - 86_400 * SECOND)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert statuses(desk, order_ids) == {OrderStatus.EXPIRED}
    assert desk.venue.asked == ["closed", "find"]


async def test_few_orders_are_looked_up_one_by_one() -> None:
    desk, order_ids = await with_orders(LOOK_UPS_PER_PAGE - 1)
    end_all(desk, order_ids)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert statuses(desk, order_ids) == {OrderStatus.EXPIRED}
    assert desk.venue.asked == ["find"] * (LOOK_UPS_PER_PAGE - 1)


async def test_no_more_pages_are_read_than_can_save_look_ups() -> None:
    desk, order_ids = await with_orders(2 * LOOK_UPS_PER_PAGE)
    desk.venue.page_rows = 1
    end_all(desk, order_ids)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert statuses(desk, order_ids) == {OrderStatus.EXPIRED}
    assert desk.venue.asked.count("closed") == 2
    assert desk.venue.asked.count("find") == 2 * LOOK_UPS_PER_PAGE - 2


async def test_a_list_that_the_venue_does_not_return_leaves_the_look_ups() -> None:
    desk, order_ids = await with_orders(20)
    desk.venue = ClosedListFails(desk.clock, orders=desk.venue.orders)
    end_all(desk, order_ids)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert statuses(desk, order_ids) == {OrderStatus.EXPIRED}
    assert desk.telemetry.said("closed_orders_not_read")


async def test_a_rate_limit_that_holds_back_the_list_ends_the_run() -> None:
    desk, order_ids = await with_orders(20)
    busy = VenueBusyError("the rate limit", retry_after=SECOND)
    desk.venue = ClosedListFails(desk.clock, orders=desk.venue.orders, failure=busy)
    end_all(desk, order_ids)

    with pytest.raises(VenueBusyError):
        await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert "find" not in desk.venue.asked


async def test_orders_that_the_list_shows_and_that_stay_behind_are_looked_up_at_intervals() -> None:
    desk, order_ids = await with_orders(20)
    for order_id in order_ids:
        desk.venue.fill(name_of(order_id), quantity=Decimal(10), price=Decimal(1))
    desk.venue.fill_pages.clear()
    reconciliation = desk.reconciliation

    for _ in range(9):
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)
        desk.clock.advance(SECOND)

    asked = Counter(desk.venue.asked)
    assert (asked["closed"], asked["find"]) == (1, len(order_ids))
    assert {count for what, count in asked.items() if what.startswith("fills of")} == {1}


async def test_orders_that_are_over_are_compared_to_the_last_page_however_many_there_are() -> None:
    desk, order_ids = await with_orders(30)
    desk.pages_max, desk.venue.page_rows = 2, 5
    for order_id in order_ids:
        desk.venue.fill(name_of(order_id), quantity=Decimal(10), price=Decimal(1))
    reconciliation = desk.reconciliation
    await reconciliation.catch_up(cause="started")
    oldest = name_of(order_ids[0])
    busted = replace(desk.venue.orders[oldest], filled_quantity=Decimal(0), submitted_at=desk.clock() - SECOND)
    desk.venue.orders[oldest] = busted

    await reconciliation.catch_up(cause="connect")
    for _ in range(3):
        await reconciliation.compare_closed_orders()

    assert reconciliation.fills.suspects.names() == [oldest]
    assert await reconciliation.compare_closed_orders() == 0
    assert desk.venue.asked.count("closed") == 6


async def test_a_connect_meanwhile_lets_the_comparison_end_and_begins_another_one() -> None:
    desk, order_ids = await with_orders(12)
    desk.pages_max, desk.venue.page_rows = 1, 5
    end_all(desk, order_ids)
    reconciliation = desk.reconciliation
    await reconciliation.catch_up(cause="connect")
    await reconciliation.catch_up(cause="connect")
    desk.venue.asked.clear()
    await reconciliation.compare_closed_orders()

    await reconciliation.catch_up(cause="connect")
    for _ in range(7):
        await reconciliation.compare_closed_orders()

    assert desk.venue.asked.count("closed") == 6
