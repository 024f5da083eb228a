"""An event loop for histories that live in memory: nothing but tasks, so that thousands of them are made in no time."""

import asyncio
from collections.abc import Sequence


class StillLoop(asyncio.BaseEventLoop):
    """A loop without sockets, files and signals. It asks the kernel nothing, and does not wait: who waits for time to
    pass keeps it busy."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _NothingHappens()

    def _process_events(self, events: Sequence[object]) -> None:
        """There are none."""


class _NothingHappens:
    """What asyncio asks for events."""

    def select(self, _timeout: float | None) -> Sequence[object]:
        return ()
