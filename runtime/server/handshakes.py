"""Limits how many websockets are opened in a second, round-robin over the peers' addresses.

Opening a websocket is the most expensive thing that a client without a token can request: close to a millisecond. A
client that opens ten thousand would use the whole process. At a limited rate connected clients are not delayed, and a
new client waits for one websocket of each other peer, not for all of one peer's.
"""

import asyncio
from collections import deque
from collections.abc import Callable

Opening = Callable[[], bool]
"""Opens one websocket; returns False when its peer has gone. What it raises is raised by `schedule`, or, when it is
opened later, passed to the event loop's exception handler."""


class Handshakes:
    """The websockets that wait to be opened, by the address of their client."""

    def __init__(self, *, per_second: int) -> None:
        self._pause_seconds = 1 / per_second
        self._next_at = 0.0
        self._waiting: dict[str, deque[Opening]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def schedule(self, peer: str, opening: Opening) -> None:
        """Open it immediately when none waits and the last one was opened long enough ago, or else later."""
        self._waiting.setdefault(peer, deque()).append(opening)
        if self._timer is None:
            self._open_due()

    def _open_due(self) -> None:
        """Open what is due, and set a timer for the rest."""
        loop = asyncio.get_running_loop()
        self._timer = None
        try:
            while self._waiting and loop.time() >= self._next_at:
                if self._take_next()():
                    self._next_at = loop.time() + self._pause_seconds
        finally:
            # Also when one of them raises: the others would wait until a new one is scheduled.
            if self._waiting:
                self._timer = loop.call_at(self._next_at, self._open_due)

    def _take_next(self) -> Opening:
        peer, openings = next(iter(self._waiting.items()))
        opening = openings.popleft()
        # To the end, after the other addresses.
        del self._waiting[peer]
        if openings:
            self._waiting[peer] = openings
        return opening
