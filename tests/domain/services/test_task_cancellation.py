"""A loop ends when it is cancelled, also at the moment in which its step fails."""

import asyncio

import pytest

from domain.services.task_cancellation import run_cancellable

WITHIN_SECONDS = 5.0


class ConnectionLostError(Exception):
    """What the step of a loop expects."""


class FailingStep:
    """A task group that fails, and whose other task ends with a delay."""

    def __init__(self) -> None:
        self.is_ending = asyncio.Event()
        self.may_end = asyncio.Event()
        self.runs = 0

    async def run(self) -> None:
        self.runs += 1
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._close_slowly())
                tasks.create_task(self._fail())
        except* ConnectionLostError:
            pass

    async def _fail(self) -> None:
        await asyncio.sleep(0)
        raise ConnectionLostError

    async def _close_slowly(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.is_ending.set()
            await self.may_end.wait()


async def test_a_loop_that_is_cancelled_while_its_step_fails_ends() -> None:
    step = FailingStep()

    async def repeat_it() -> None:
        while True:
            await run_cancellable(step.run())

    loop = asyncio.create_task(repeat_it())
    async with asyncio.timeout(WITHIN_SECONDS):
        await step.is_ending.wait()
        loop.cancel()
        await asyncio.sleep(0)
        step.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await loop

    assert step.runs == 1


async def test_the_result_and_the_error_of_the_step_are_the_callers() -> None:
    async def result() -> int:
        return 7

    async def error() -> None:
        raise ConnectionLostError

    assert await run_cancellable(result()) == 7
    with pytest.raises(ConnectionLostError):
        await run_cancellable(error())
