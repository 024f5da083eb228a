"""A time limit on waiting: in every case it is equivalent to awaiting the work under a time-out from its beginning."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from graph.websocket.send_timeout import with_timeout

LONG_SECONDS, SHORT_SECONDS = 5.0, 0.01


class GoneError(Exception):
    """What a work may fail with."""


async def test_work_that_never_waits_returns_its_result_and_starts_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ready() -> int:
        return 1

    monkeypatch.setattr(asyncio, "timeout", None)

    assert await with_timeout(LONG_SECONDS, ready()) == 1


async def test_work_that_waits_any_number_of_times_returns_its_result() -> None:
    async def waiting_often() -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        return await asyncio.wait_for(asyncio.sleep(0, result=2), LONG_SECONDS)

    assert await with_timeout(LONG_SECONDS, waiting_often()) == 2


@pytest.mark.parametrize("waits", [0, 1, 3])
async def test_the_failure_of_the_work_is_the_caller_s(waits: int) -> None:
    async def failing() -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        raise GoneError

    with pytest.raises(GoneError):
        await with_timeout(LONG_SECONDS, failing())


async def test_work_that_takes_too_long_is_cancelled_and_raises() -> None:
    steps: list[str] = []

    with pytest.raises(TimeoutError):
        await with_timeout(SHORT_SECONDS, _noting_its_end(steps))

    assert steps == ["canceled", "tidied up"]


async def test_who_is_canceled_meanwhile_cancels_the_work() -> None:
    steps: list[str] = []
    task = asyncio.create_task(with_timeout(LONG_SECONDS, _noting_its_end(steps)))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["canceled", "tidied up"]


@pytest.mark.parametrize("catching", [True, False])
async def test_work_may_take_a_cancellation_for_its_end(catching: bool) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not catching:
                raise
        return "done"

    outcomes = [
        await _outcome_of(lambda: with_timeout(SHORT_SECONDS, stubborn())),
        await _outcome_of(lambda: _plain(stubborn())),
    ]

    assert outcomes[0] == outcomes[1]


async def _plain(work: Awaitable[str]) -> str:
    async with asyncio.timeout(SHORT_SECONDS):
        return await work


async def _outcome_of(begin: Callable[[], Awaitable[str]]) -> object:
    try:
        return await begin()
    except Exception as error:  # noqa: BLE001 - it is compared
        return type(error)


async def _noting_its_end(steps: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        steps.append("canceled")
        await asyncio.sleep(0)
        steps.append("tidied up")
        raise
