"""Websockets are opened at a limited rate: sequentially, alternating between clients."""

import asyncio
from collections.abc import Callable

import pytest

from runtime.server.handshakes import Handshakes

DEADLINE_SECONDS = 5.0
PER_SECOND = 50


class Hall:
    """Records who was admitted, and when."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.moments: list[float] = []
        self.handshakes = Handshakes(per_second=PER_SECOND)
        self._changed = asyncio.Event()

    def enter(self, *names: str) -> None:
        """Wait for admission; the name's first letter is the client's address."""
        for name in names:
            self.handshakes.schedule(name[0], self.opening(name))

    def opening(self, name: str) -> Callable[[], bool]:
        """Return the admission. Disconnected clients are in capitals."""

        def open_() -> bool:
            self.entered.append(name)
            self.moments.append(asyncio.get_running_loop().time())
            self._changed.set()
            return name.islower()

        return open_

    async def are_all_in(self, count: int) -> None:
        """Wait until that number has been admitted."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.entered) < count:
                self._changed.clear()
                await self._changed.wait()


async def test_the_first_one_is_opened_immediately_and_the_others_at_the_rate() -> None:
    hall = Hall()

    hall.enter("a1", "a2", "a3")

    assert hall.entered == ["a1"]
    await hall.are_all_in(3)
    # A timer may be a millisecond early.
    assert hall.moments[2] - hall.moments[0] >= 2 / PER_SECOND - 0.002


async def test_a_peer_with_many_does_not_delay_the_others() -> None:
    hall = Hall()

    hall.enter("a1", "a2", "a3", "a4", "b1", "c1")
    await hall.are_all_in(6)

    assert hall.entered == ["a1", "a2", "b1", "c1", "a3", "a4"]


@pytest.mark.parametrize("peers", ["ABCD", "AAAA"])
async def test_a_disconnected_client_is_skipped(peers: str) -> None:
    hall = Hall()
    hall.enter("a1", *(f"{peer}{number}" for number, peer in enumerate(peers)), "e1")

    await hall.are_all_in(2 + len(peers))

    # Slower by one pause for each of them, if they cost one.
    entered_at = hall.moments[hall.entered.index("e1")]
    assert entered_at - hall.moments[0] < (len(peers) + 1) / PER_SECOND


async def test_after_a_while_without_any_the_next_one_is_opened_immediately_again() -> None:
    hall = Hall()
    hall.enter("a1", "a2")
    await hall.are_all_in(2)
    loop = asyncio.get_running_loop()
    due = hall.moments[-1] + 1.5 / PER_SECOND
    waited = asyncio.Event()
    loop.call_at(due, waited.set)
    await asyncio.wait_for(waited.wait(), DEADLINE_SECONDS)

    hall.enter("b1")

    assert hall.entered[-1] == "b1"


async def test_one_that_fails_is_logged_and_the_next_ones_are_opened() -> None:
    hall, reported = Hall(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context.get("exception")))
    failure = RuntimeError("it fails")

    def fail() -> bool:
        raise failure

    hall.enter("a1")
    hall.handshakes.schedule("b", fail)
    hall.enter("c1", "d1")
    await hall.are_all_in(3)

    assert hall.entered == ["a1", "c1", "d1"]
    assert reported == [failure]


async def test_one_that_fails_immediately_raises_in_its_caller() -> None:
    hall = Hall()

    def fail() -> bool:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        hall.handshakes.schedule("a", fail)
    hall.enter("b1")

    assert hall.entered == ["b1"]
