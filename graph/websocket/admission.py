"""How many websockets a process holds: in all, of those that have not said who they are, and of each account.

The numbers are of one process. An account can have as many times more sockets as there are processes; a shared count
would cost a round trip for each socket and be wrong after each crash (docs/decisions/0012).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from graph.settings import GraphSettings


class Guest(Protocol):
    """A socket's conversation that may be asked to make room before it was introduced."""

    def make_room(self, reason: str) -> None:
        """Close soon, for this reason."""


class SocketLimitError(Exception):
    """The account has as many sockets as it may have."""


class Admission:
    """Counts the sockets of a process."""

    def __init__(self, settings: GraphSettings) -> None:
        self._settings = settings
        self._waiting: dict[Guest, None] = {}
        self._accounts: dict[Guest, str] = {}
        self._sockets = Counter[str]()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._accounts)

    @property
    def is_full(self) -> bool:
        """Whether no further socket may be opened."""
        return len(self) >= self._settings.sockets_max

    @contextmanager
    def holding(self, guest: Guest) -> Iterator[None]:
        """Count a socket, at first among those that wait to be introduced.

        When too many wait, the one that has waited longest makes room: who has a token is introduced within a round
        trip, so it is a stranger's. Refusing the newest would let strangers keep everybody out.
        """
        self._waiting[guest] = None
        if len(self._waiting) > self._settings.sockets_waiting_max:
            oldest = next(iter(self._waiting))
            # Forgotten at once, so that the next one asks another; `leave` finds nothing of it then.
            del self._waiting[oldest]
            oldest.make_room(f"More than {self._settings.sockets_waiting_max} sockets wait for connection_init")
        try:
            yield
        finally:
            self._leave(guest)

    def introduce(self, guest: Guest, account_id: str) -> None:
        """Count a socket as the account's from now on; raises SocketLimitError."""
        if self._sockets[account_id] >= self._settings.sockets_per_account:
            raise SocketLimitError(f"The account has {self._settings.sockets_per_account} sockets, as many as it may")
        self._waiting.pop(guest, None)
        self._accounts[guest] = account_id
        self._sockets[account_id] += 1

    def _leave(self, guest: Guest) -> None:
        self._waiting.pop(guest, None)
        account_id = self._accounts.pop(guest, None)
        if account_id is None:
            return
        self._sockets[account_id] -= 1
        if not self._sockets[account_id]:
            del self._sockets[account_id]
