"""The loops of every worker: what no wake-up reached is found all the same."""

import asyncio
from datetime import timedelta

from domain.errors import Unavailable
from domain.order import OrderStatus
from domain.telemetry import Metric
from jobs.loops import SWEEP_ORDERS_MAX, Sweeper, repeat
from tests.memory import RecordingTelemetry
from tests.orders import new_order
from tests.processes import eventually
from tests.stories import Stories

OVERDUE = timedelta(seconds=2)


def _sweeper(stories: Stories) -> Sweeper:
    return Sweeper(
        orders=stories.store,
        submission=stories.submission,
        delivery=stories.delivery,
        telemetry=stories.telemetry,
        interval=timedelta(milliseconds=10),
        overdue_by=OVERDUE,
    )


async def test_an_order_whose_wake_up_was_lost_is_swept_up_and_placed() -> None:
    stories = Stories()
    order = new_order()
    await stories.store.accept(order)
    stories.clock.advance(OVERDUE)

    await _sweeper(stories).sweep()

    assert stories.store.rows[order.id].order.status is OrderStatus.PLACED
    assert stories.telemetry.counts[(Metric.SWEPT_ORDERS,)] == 1


async def test_a_fresh_order_is_left_to_its_wake_up() -> None:
    stories = Stories()
    await stories.store.accept(new_order())

    await _sweeper(stories).sweep()

    assert stories.venue.asked == []


async def test_a_full_sweep_is_followed_by_another_at_once() -> None:
    stories = Stories()
    for number in range(SWEEP_ORDERS_MAX + 1):
        await stories.store.accept(new_order(client_order_id=f"c-{number}"))
    stories.clock.advance(OVERDUE)
    sweeper = _sweeper(stories)

    assert await sweeper.sweep()
    assert not await sweeper.sweep()
    assert stories.venue.asked.count("place") == SWEEP_ORDERS_MAX + 1


async def test_how_overdue_the_oldest_order_is_can_be_seen() -> None:
    stories = Stories()
    await stories.store.accept(new_order())
    stories.clock.advance(timedelta(seconds=7))

    await _sweeper(stories).measure()

    assert (Metric.OLDEST_DUE_SECONDS, 7.0) in stories.telemetry.values


async def test_a_loop_outlives_a_database_that_goes_away_and_says_so_once() -> None:
    telemetry = RecordingTelemetry()
    turns: list[int] = []

    async def step() -> bool:
        turns.append(1)
        if 2 <= len(turns) <= 4:
            raise Unavailable
        return False

    running = asyncio.create_task(repeat(step, every=timedelta(milliseconds=1), name="sweep", telemetry=telemetry))
    await eventually(lambda: len(turns) > 6, within_seconds=5, what="the loop goes on")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert len(telemetry.named("loop_failing")) == 1
    assert len(telemetry.named("loop_recovered")) == 1
