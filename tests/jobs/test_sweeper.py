"""The loops of every worker: what no wake-up reached is found all the same."""

import asyncio
from datetime import timedelta

from domain.model.errors import UnavailableError
from domain.model.order import OrderStatus
from domain.ports.telemetry import Metric
from jobs.sweeper import SWEEP_ORDERS_MAX, Sweeper, repeat
from tests.support.examples import new_order
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.memory_gateway import Desk
from tests.support.processes import eventually

OVERDUE = timedelta(seconds=2)


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
    await asyncio.sleep(0)
    may_answer.set()
    await asyncio.gather(sweeping, return_exceptions=True)

    assert sweeping.cancelled()
    assert desk.orders.rows[order.id].order.status is OrderStatus.PLACED
    assert desk.orders.rows[order.id].lease_until is None


async def test_a_full_sweep_is_followed_by_another_at_once() -> None:
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


async def test_a_loop_outlives_a_database_that_goes_away_and_says_so_once() -> None:
    telemetry = RecordingTelemetry()
    turns: list[int] = []

    async def step() -> bool:
        turns.append(1)
        if 2 <= len(turns) <= 4:
            raise UnavailableError
        return False

    running = asyncio.create_task(repeat(step, every=timedelta(milliseconds=1), name="sweep", telemetry=telemetry))
    await eventually(lambda: len(turns) > 6, within_seconds=5, what="the loop goes on")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert len(telemetry.said("loop_failing")) == 1
    assert len(telemetry.said("loop_recovered")) == 1


async def test_a_loop_outlives_a_surprise_and_tells_people() -> None:
    telemetry = RecordingTelemetry()
    turns: list[int] = []

    async def step() -> bool:
        turns.append(1)
        if len(turns) == 1:
            raise ValueError("nobody thought of this")
        return False

    running = asyncio.create_task(repeat(step, every=timedelta(milliseconds=1), name="sweep", telemetry=telemetry))
    await eventually(lambda: len(turns) > 2, within_seconds=5, what="the loop goes on")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert len(telemetry.said("loop_error")) == 1
