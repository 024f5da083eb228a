"""/readyz: many concurrent and repeated requests cost one check of each part."""

import asyncio

import pytest

from runtime.observability.health import READY, READY_SECONDS, NotReadyError, Readiness
from tests.support.fakes.telemetry import RecordingTelemetry


class Part:
    """A part with a health check, and a clock that a test advances."""

    def __init__(self) -> None:
        self.asked = 0
        self.works = True
        self.now = 0.0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def check(self) -> None:
        self.asked += 1
        await self.may_answer.wait()
        if not self.works:
            raise NotReadyError("unreachable", "it is away")


@pytest.fixture
async def part() -> Part:
    return Part()


@pytest.fixture
def readiness(part: Part) -> Readiness:
    return Readiness({"part": part.check}, RecordingTelemetry(), clock=lambda: part.now)


async def test_concurrent_requests_share_one_check(part: Part, readiness: Readiness) -> None:
    part.may_answer.clear()
    asking = [asyncio.create_task(readiness.states()) for _ in range(20)]
    await asyncio.sleep(0)
    part.may_answer.set()

    assert await asyncio.gather(*asking) == [{"part": READY}] * 20
    assert part.asked == 1


async def test_an_answer_holds_for_a_second(part: Part, readiness: Readiness) -> None:
    await readiness.states()
    part.works = False

    part.now = 0.9 * READY_SECONDS
    assert await readiness.states() == {"part": READY}
    part.now = 1.1 * READY_SECONDS
    assert await readiness.states() == {"part": "unreachable"}
    assert part.asked == 2


async def test_a_cancelled_caller_does_not_affect_others(part: Part, readiness: Readiness) -> None:
    part.may_answer.clear()
    gone, waiting = asyncio.create_task(readiness.states()), asyncio.create_task(readiness.states())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    part.may_answer.set()

    assert await waiting == {"part": READY}
    assert part.asked == 1
