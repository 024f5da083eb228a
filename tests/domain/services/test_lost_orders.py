"""An order that the venue accepted and no longer has: reported once, looked up at growing intervals, not ended."""

from datetime import timedelta

import pytest

from domain.model.errors import VenueUnreachableError
from domain.model.order import OrderStatus
from tests.support.examples import ORDER_ID, filled, name_of
from tests.support.memory_gateway import SECOND, Desk

AT_ONCE = timedelta(0)


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with one order at the venue."""
    desk = Desk()
    await desk.store()
    await desk.attempt()
    desk.venue.asked.clear()
    return desk


async def compare_for(desk: Desk, seconds: int) -> list[int]:
    """Compare every second; return the seconds of the look-ups."""
    reconciliation, begun_at, looked_up_at = desk.reconciliation, desk.clock(), []
    for _ in range(seconds):
        asked = len(desk.venue.asked)
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)
        if len(desk.venue.asked) > asked:
            looked_up_at.append((desk.clock() - begun_at) // SECOND)
        desk.clock.advance(SECOND)
    return looked_up_at


async def test_an_alert_is_logged_once_and_the_order_is_unchanged(desk: Desk) -> None:
    del desk.venue.orders[name_of(ORDER_ID)]

    looked_up_at = await compare_for(desk, 400)

    [said] = desk.telemetry.said("venue_lost_order")
    assert (said["order_id"], said["venue_order_id"]) == (str(ORDER_ID), "V1")
    assert desk.order().status is OrderStatus.PLACED
    assert looked_up_at[:4] == [0, 10, 30, 70]


async def test_an_order_that_is_hidden_for_some_seconds_is_not_lost(desk: Desk) -> None:
    desk.venue.hidden.add(name_of(ORDER_ID))
    await compare_for(desk, 40)
    desk.venue.hidden.clear()
    await compare_for(desk, 200)

    assert not desk.telemetry.said("venue_lost_order")


async def test_an_order_that_cannot_be_looked_up_is_not_lost(desk: Desk) -> None:
    desk.venue.hidden.add(name_of(ORDER_ID))
    desk.venue.look_up_failures[name_of(ORDER_ID)] = VenueUnreachableError("HTTP 404")

    await compare_for(desk, 400)

    assert not desk.telemetry.said("venue_lost_order")


async def test_a_lost_order_that_the_venue_returns_again_stays_live(desk: Desk) -> None:
    lost = desk.venue.orders.pop(name_of(ORDER_ID))
    reconciliation = desk.reconciliation
    for _ in range(5):
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)
        desk.clock.advance(60 * SECOND)
    desk.venue.orders[name_of(ORDER_ID)] = lost
    await reconciliation.compare_open_orders(silent_for=AT_ONCE)
    assert desk.telemetry.said("venue_lost_order_shown")
    await desk.report(filled("10"))

    assert desk.order().status is OrderStatus.FILLED


async def test_a_lost_order_whose_cancel_is_requested_stays_pending_and_is_logged_too(desk: Desk) -> None:
    del desk.venue.orders[name_of(ORDER_ID)]
    await desk.cancellation.request(ORDER_ID, account_ids=("alice",))
    await desk.delivery.deliver([ORDER_ID])

    await compare_for(desk, 400)

    assert len(desk.telemetry.said("venue_lost_order")) == 1
    assert desk.order().status is OrderStatus.PENDING_CANCEL
