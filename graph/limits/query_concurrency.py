"""So many queries of an account are at work at once in a process; its others wait for them, in their order.

A process has one thread. Without this whoever asks in circles from many connections, each time within every rate,
would have everybody wait behind all of its queries; so they wait behind some of them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Line:
    """The queries of one account: how many are at work, and those that wait."""

    at_work: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class QueryConcurrency:
    """The accounts that have queries at work."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @asynccontextmanager
    async def taken(self, account_id: str, *, at_once: int) -> AsyncIterator[None]:
        """Wait for the account's turn, and hold it."""
        line = self._lines.setdefault(account_id, _Line())
        if line.at_work < at_once:
            line.at_work += 1
        else:
            await self._come(account_id, line)
        try:
            yield
        finally:
            self._pass_on(account_id, line)

    async def _come(self, account_id: str, line: _Line) -> None:
        turn = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # It may have come at the moment when the caller was cancelled.
            if not turn.cancelled():
                self._pass_on(account_id, line)
            raise

    def _pass_on(self, account_id: str, line: _Line) -> None:
        """To the one that has waited longest. Those that were cancelled wait no more."""
        while line.waiting:
            turn = line.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        line.at_work -= 1
        if not line.at_work:
            del self._lines[account_id]
