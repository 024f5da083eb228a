"""Websockets are opened one after the other, at a pace, and those of different peers by turns.

To open a websocket is the most that somebody without a token can make a process do: close to a millisecond. Whoever
opens ten thousand would have all of it. At a pace they take their share, and who is connected notices nothing; who
comes new waits for one of each other peer's, not for all of one peer's.
"""

import asyncio
from collections import deque
from collections.abc import Callable

Opening = Callable[[], bool]
"""Opens one websocket; False when its peer has gone. What it raises goes to whoever entered it, or, when its turn came
later, to the event loop's exception handler."""


class Handshakes:
    """Those that wait to be opened, by the address of their peer."""

    def __init__(self, *, per_second: int) -> None:
        self._pause_seconds = 1 / per_second
        self._next_at = 0.0
        self._waiting: dict[str, deque[Opening]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, peer: str, opening: Opening) -> None:
        """Open it at once when nobody waits and the last one is long enough ago; or else in its turn."""
        self._waiting.setdefault(peer, deque()).append(opening)
        if self._timer is None:
            self._go_on()

    def _go_on(self) -> None:
        """Open what is due, and come back for the rest."""
        loop = asyncio.get_running_loop()
        self._timer = None
        try:
            while self._waiting and loop.time() >= self._next_at:
                if self._take_next()():
                    self._next_at = loop.time() + self._pause_seconds
        finally:
            # Also when one of them raises: those behind it would wait until somebody new enters.
            if self._waiting:
                self._timer = loop.call_at(self._next_at, self._go_on)

    def _take_next(self) -> Opening:
        peer, openings = next(iter(self._waiting.items()))
        opening = openings.popleft()
        # To the end, behind the other peers.
        del self._waiting[peer]
        if openings:
            self._waiting[peer] = openings
        return opening
