"""The open websockets of a process: their limits, and their end when the process stops or their tokens end.

The numbers are of one process. With several processes an account's total is their sum; a shared count would cost a
round trip for each socket and be wrong after each crash (docs/decisions/0012).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import uniform
from typing import Protocol

from domain.ports.telemetry import Metric, Telemetry
from graph.auth.bearer import Bearer
from graph.settings import GraphSettings
from graph.websocket.close_codes import TokenEnd

STOPPING = "This process is about to stop. Connect again."
WITHDRAWN_CLOSE_SECONDS = 1.0
"""How long the closes of sockets are spread over whose tokens are valid no more: their clients connect again."""


class Conversation(Protocol):
    """The messages of one socket, from its opening to its end. `bearer` is None before it is authenticated."""

    bearer: Bearer | None

    def make_room(self, reason: str) -> None:
        """Close soon, with the reason: it was not authenticated, and new sockets need its place."""

    async def end_for_restart(self) -> None:
        """Announce the restart, and close."""

    def withdraw(self) -> bool:
        """Start no operation from now on, since the token is no longer valid; return False if that was the case
        before.
        """

    async def end_subscriptions(self) -> None:
        """Stop sending to subscribers."""

    async def end_for_token(self, end: TokenEnd, *, answers_seconds: float) -> None:
        """Let running operations answer within that time, and close with 4403: clients reconnect with their next
        token.
        """


class SocketLimitError(Exception):
    """The account has the allowed number of sockets."""


class OpenSockets:
    """The one registry of sockets: it counts them, limits them in total and per account, and ends them all.

    A socket is registered while it is open. It waits until its account is known; from then on it counts for the
    account. One that is closing to make room is still open, and no longer counts towards a limit.
    """

    def __init__(self, settings: GraphSettings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._is_stopping = False
        self._open: set[Conversation] = set()
        self._waiting: dict[Conversation, None] = {}
        self._account_of: dict[Conversation, str] = {}
        self._of_account = Counter[str]()
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def refusal(self) -> str | None:
        """Return why no further socket may be opened, or None when one may. Count a refusal by the limit."""
        if self._is_stopping:
            return STOPPING
        if len(self._waiting) + len(self._account_of) < self._settings.sockets_max:
            return None
        self._count_refusal("process")
        return f"This process has {self._settings.sockets_max} sockets, as many as it may. Try again later."

    @contextmanager
    def holding(self, socket: Conversation) -> Iterator[None]:
        """Register a socket until the block ends, at first among those whose account is not known.

        When too many wait, the one that has waited longest is closed. A client with a token is authenticated within a
        round trip, so the oldest has none. Refusing the newest would let clients without a token block all others.
        """
        self._open.add(socket)
        self._waiting[socket] = None
        self._measure()
        if len(self._waiting) > self._settings.sockets_waiting_max:
            oldest = next(iter(self._waiting))
            # Removed immediately, so that the next one closes another.
            del self._waiting[oldest]
            self._count_refusal("waiting")
            oldest.make_room(f"More than {self._settings.sockets_waiting_max} sockets wait for connection_init")
        try:
            yield
        finally:
            self._leave(socket)

    def assign(self, socket: Conversation, account_id: str) -> None:
        """Count a socket as the account's from now on; raise SocketLimitError when it has the allowed number."""
        if self._of_account[account_id] >= self._settings.sockets_per_account:
            self._count_refusal("account")
            raise SocketLimitError(f"The account has {self._settings.sockets_per_account} sockets, as many as it may")
        self._waiting.pop(socket, None)
        self._account_of[socket] = account_id
        self._of_account[account_id] += 1

    async def end_all(self, *, within_seconds: float, random: Callable[[], float]) -> None:
        """Refuse new sockets, and end each open one at a random moment within that time, so that their clients do
        not all connect to the next process at the same time. `random` returns 0 to 1.
        """
        self._is_stopping = True
        async with asyncio.TaskGroup() as tasks:
            for socket in list(self._open):
                tasks.create_task(self._end(socket, after_seconds=random() * within_seconds))

    def end_withdrawn(self, is_withdrawn: Callable[[Bearer], bool], end: TokenEnd) -> None:
        """Stop the sockets of these bearers from starting operations, and close each at a random moment within
        WITHDRAWN_CLOSE_SECONDS.
        """
        for socket in list(self._open):
            if socket.bearer is None or not is_withdrawn(socket.bearer) or not socket.withdraw():
                continue
            task = asyncio.create_task(self._end_withdrawn(socket, end))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _end_withdrawn(self, socket: Conversation, end: TokenEnd) -> None:
        await socket.end_subscriptions()
        after_seconds = uniform(0, WITHDRAWN_CLOSE_SECONDS)  # noqa: S311 - spreads clients, not a secret
        await asyncio.sleep(after_seconds)
        if socket in self._open:
            await socket.end_for_token(end, answers_seconds=WITHDRAWN_CLOSE_SECONDS - after_seconds)

    async def _end(self, socket: Conversation, *, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        if socket in self._open:
            await socket.end_for_restart()

    def _leave(self, socket: Conversation) -> None:
        self._open.discard(socket)
        self._waiting.pop(socket, None)
        account_id = self._account_of.pop(socket, None)
        if account_id is not None:
            self._of_account[account_id] -= 1
            if not self._of_account[account_id]:
                del self._of_account[account_id]
        self._measure()

    def _measure(self) -> None:
        self._telemetry.set(Metric.SOCKETS, len(self._open))

    def _count_refusal(self, limit: str) -> None:
        self._telemetry.count(Metric.SOCKETS_REFUSED, limit=limit)
