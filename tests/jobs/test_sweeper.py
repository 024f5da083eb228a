"""The loops of every worker: orders without a wake-up are still found."""

import asyncio
from datetime import timedelta

from domain.model.order import OrderStatus
from domain.ports.telemetry import Metric
from jobs.sweeper import SWEEP_ORDERS_MAX, Sweeper
from tests.support.examples import new_order
from tests.support.memory_gateway import Desk

OVERDUE = timedelta(seconds=2)
TURNS = 100
"""Turns of the event loop: more than a cancellation takes to reach every task."""


def _sweeper(desk: Desk) -> Sweeper:
    return Sweeper(
        orders=desk.orders,
        submission=desk.submission,
        delivery=desk.delivery,
        telemetry=desk.telemetry,
        interval=timedelta(milliseconds=10),
        overdue_by=OVERDUE,
        stop_within=timedelta(seconds=5),
    )


async def test_an_order_whose_wake_up_was_lost_is_swept_up_and_placed() -> None:
    desk = Desk()
    order = new_order()
    await desk.orders.store(order)
    desk.clock.advance(OVERDUE)

    await _sweeper(desk).sweep()

    assert desk.orders.rows[order.id].order.status is OrderStatus.PLACED
    assert desk.telemetry.counted(Metric.SWEPT_ORDERS) == 1


async def test_a_fresh_order_is_left_to_its_wake_up() -> None:
    desk = Desk()
    await desk.orders.store(new_order())

    await _sweeper(desk).sweep()

    assert desk.venue.asked == []


async def test_a_sweep_that_is_sending_when_the_process_stops_is_finished_first() -> None:
    desk = Desk()
    order = new_order()
    await desk.orders.store(order)
    desk.clock.advance(OVERDUE)
    is_sending, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        is_sending.set()
        await may_answer.wait()

    desk.venue.during_submit = slowly
    sweeping = asyncio.create_task(_sweeper(desk).run())
    await is_sending.wait()
    sweeping.cancel()
    for _ in range(TURNS):
        await asyncio.sleep(0)
    was_cut_off = sweeping.done()
    may_answer.set()
    await asyncio.gather(sweeping, return_exceptions=True)

    assert not was_cut_off
    assert sweeping.cancelled()
    assert desk.orders.rows[order.id].order.status is OrderStatus.PLACED
    assert desk.orders.rows[order.id].lease_until is None


async def test_a_full_sweep_is_followed_by_another_immediately() -> None:
    desk = Desk()
    for number in range(SWEEP_ORDERS_MAX + 1):
        await desk.orders.store(new_order(client_order_id=f"c-{number}"))
    desk.clock.advance(OVERDUE)
    sweeper = _sweeper(desk)

    assert await sweeper.sweep()
    assert not await sweeper.sweep()
    assert desk.venue.asked.count("submit") == SWEEP_ORDERS_MAX + 1


async def test_how_overdue_the_oldest_order_is_can_be_seen() -> None:
    desk = Desk()
    await desk.orders.store(new_order())
    desk.clock.advance(timedelta(seconds=7))

    await _sweeper(desk).measure()

    assert desk.telemetry.gauges[Metric.OLDEST_DUE_SECONDS] == 7.0
