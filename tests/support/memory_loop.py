"""An event loop for histories in memory: only tasks, so that thousands of histories run fast."""

import asyncio
from collections.abc import Sequence


class StillLoop(asyncio.BaseEventLoop):
    """A loop without sockets, files and signals. It makes no system call and does not block: a task that waits for
    time keeps it busy.
    """

    def __init__(self) -> None:
        super().__init__()
        self._selector = _NothingHappens()

    def _process_events(self, events: Sequence[object]) -> None:
        """There are none."""


class _NothingHappens:
    """Selector of asyncio without events."""

    def select(self, timeout: float | None) -> Sequence[object]:  # noqa: ARG002 - asyncio's call
        return ()


class JumpingLoop(StillLoop):
    """A loop whose clock jumps to the next timer when it is idle: an hour passes instantly."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._selector = _TimePasses(self)

    def time(self) -> float:
        return self.seconds


class _TimePasses(_NothingHappens):
    def __init__(self, loop: JumpingLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> Sequence[object]:
        self._loop.seconds += timeout or 0.0
        return ()
