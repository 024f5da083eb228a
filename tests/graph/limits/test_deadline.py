"""One timer ends all operations that take too long, and nobody's cancellation is taken for another's."""

import asyncio
import time

import pytest

from graph.limits.deadline import Deadlines

SECONDS = 0.05


async def bounded(deadlines: Deadlines, ended: asyncio.Event) -> str:
    term = deadlines.begin(SECONDS)
    try:
        await ended.wait()
    except asyncio.CancelledError:
        if not deadlines.end(term):
            raise
        return "timed out"
    deadlines.end(term)
    return "ended"


async def test_who_ends_in_time_is_left_alone_and_each_of_the_others_is_ended() -> None:
    deadlines, quick, never = Deadlines(), asyncio.Event(), asyncio.Event()
    quick.set()

    outcomes = await asyncio.gather(*(bounded(deadlines, never if n % 3 == 0 else quick) for n in range(9)))

    assert outcomes == ["timed out" if n % 3 == 0 else "ended" for n in range(9)]


async def test_the_timer_goes_on_for_those_who_began_later() -> None:
    deadlines, never = Deadlines(), asyncio.Event()
    first = asyncio.create_task(bounded(deadlines, never))
    await asyncio.wait([first])

    assert await bounded(deadlines, never) == "timed out"
    assert first.result() == "timed out"


async def test_a_cancellation_by_the_caller_is_not_taken_for_a_time_out() -> None:
    deadlines = Deadlines()
    task = asyncio.create_task(bounded(deadlines, asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_at_the_moment_of_the_time_out_stays_one() -> None:
    deadlines = Deadlines()
    task = asyncio.create_task(bounded(deadlines, asyncio.Event()))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(SECONDS, task.cancel)
    time.sleep(2 * SECONDS)  # noqa: ASYNC251 - both deadlines have passed when the loop checks its timers next

    with pytest.raises(asyncio.CancelledError):
        await task


def test_deadlines_outlive_the_loop_in_which_they_were_used_first() -> None:
    deadlines = Deadlines()

    assert [asyncio.run(bounded(deadlines, asyncio.Event())) for _ in range(2)] == ["timed out", "timed out"]
