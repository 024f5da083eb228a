"""Due actions run in order, and are suspended while the exchange is down."""

import asyncio
from functools import partial

from exchange.simulator.scheduler import BATCH_MAX_ACTIONS, Scheduler
from tests.exchange.simulator.client import DEADLINE_SECONDS


async def _done(done: asyncio.Event) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await done.wait()


async def test_actions_run_by_their_due_time_and_among_equals_in_order_of_arrival() -> None:
    scheduler, ran, done = Scheduler(), list[int](), asyncio.Event()

    scheduler.after(0.02, done.set)
    scheduler.after(0.01, partial(ran.append, -1))
    for number in range(3 * BATCH_MAX_ACTIONS):
        scheduler.after(0, partial(ran.append, number))
    await _done(done)
    scheduler.close()

    assert ran == [*range(3 * BATCH_MAX_ACTIONS), -1]


async def test_nothing_runs_while_paused_and_everything_after() -> None:
    scheduler, done = Scheduler(), asyncio.Event()
    running, passed = Scheduler(), asyncio.Event()

    scheduler.pause()
    scheduler.after(0, done.set)
    running.after(0.01, passed.set)
    await _done(passed)
    running.close()
    assert not done.is_set()
    scheduler.resume()
    await _done(done)
    scheduler.close()
