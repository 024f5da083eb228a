"""Catch-ups that fail: each is logged, and the first that succeeds again ends it."""

from domain.model.order import OrderStatus
from tests.ingest.running_consumer import fill, following, placed, report_of, soon
from tests.support.memory_gateway import Desk


async def test_catch_ups_that_fail_are_logged_each_time_and_the_end_of_it_once() -> None:
    desk = Desk()
    order = await placed(desk)
    desk.venue.is_reachable = False

    async with following(desk) as at_work:
        await soon(lambda: len(desk.telemetry.said("catch_up_failed")) > 2, "catch-ups fail")
        desk.venue.fill_pages = [[report_of(order, fill(1, quantity=100, cumulative=100))]]
        desk.venue.is_reachable = True
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")
        await soon(lambda: bool(desk.telemetry.said("catch_up_recovered")), "the failure is over")

    assert len(desk.telemetry.said("catch_up_recovered")) == 1
