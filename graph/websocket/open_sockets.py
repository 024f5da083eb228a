"""The open websockets of a process, and how they end when it stops: spread over a while, so that their clients do not
all come to the next process at the same moment.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Endable(Protocol):
    """A socket's conversation."""

    async def end_for_restart(self) -> None:
        """Say that the service restarts, and close."""


class OpenSockets:
    """Which conversations go on. `is_admitting` is False once the process is about to stop."""

    def __init__(self) -> None:
        self.is_admitting = True
        self._open: set[Endable] = set()

    @contextmanager
    def holding(self, socket: Endable) -> Iterator[None]:
        """Count a socket as open until the block ends."""
        self._open.add(socket)
        try:
            yield
        finally:
            self._open.discard(socket)

    def __len__(self) -> int:
        return len(self._open)

    async def end_all(self, *, within_seconds: float, random: Callable[[], float]) -> None:
        """Admit no more, and end each socket at a random moment within that time. `random` gives 0 to 1."""
        self.is_admitting = False
        async with asyncio.TaskGroup() as tasks:
            for socket in list(self._open):
                tasks.create_task(self._end(socket, after_seconds=random() * within_seconds))

    async def _end(self, socket: Endable, *, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        if socket in self._open:
            await socket.end_for_restart()
