"""The subscription protocol without time and tasks, so that a hundred thousand of its histories can be executed.

The product's own code decides: the account's stream, the subscriber's buffer, the cursor. This file simulates its
environment: commits, hints that are lost, late, repeated and out of order, publishers that crash before they publish,
slow readers, and the two halves of opening a subscription with any other events in between.
"""

from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from broadcast.account_stream import AccountStream
from broadcast.retrying_change_log import RetryingChangeLog
from broadcast.subscriber import Subscriber
from broadcast.subscriber_cursor import AccountCursor
from domain.model.changes import RecordedChange
from domain.ports.telemetry import Metric
from tests.broadcast.histories import ChangeHistory, a_snapshot

ACCOUNT = "demo"
STEPS = 60
SUBSCRIBERS_MAX = 3
PAGE_CHANGES = 3
BUFFER_CHANGES = 2
EARLY_CHANGES = 2
PUBLISHERS_DEATHS = 0.2
REPEATS = 0.2

_Value = TypeVar("_Value")


def changes_of_an_account() -> Sequence[RecordedChange]:
    """Return the highest number of changes that a history can commit; every history has the same ones."""
    log = ChangeHistory()
    return [log.append(a_snapshot()) for _ in range(STEPS)]


class Database(RetryingChangeLog):
    """The first `committed` of the changes; it answers immediately."""

    def __init__(self, changes: Sequence[RecordedChange]) -> None:
        self.changes = changes
        self.committed = 0

    async def account_page(self, account_id: str, *, after: int) -> Sequence[RecordedChange]:  # noqa: ARG002 - the port's
        return self.page(after)

    def page(self, after: int) -> Sequence[RecordedChange]:
        return self.changes[after : min(self.committed, after + PAGE_CHANGES)]

    def is_last_page(self, page: Sequence[RecordedChange]) -> bool:
        return len(page) < PAGE_CHANGES


class Silence:
    """Telemetry that records nothing."""

    def count(self, metric: Metric, amount: int = 1, **labels: str) -> None:
        pass

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        pass

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        pass

    def info(self, event: str, **fields: object) -> None:
        pass

    warning = error = info


class NothingYetError(Exception):
    """There is nothing to receive and nothing to read."""


class NonWaitingSubscriber(Subscriber):
    """A subscriber that raises instead of waiting."""

    async def wait(self) -> None:
        if not len(self) and self.behind is None:
            raise NothingYetError


@dataclass(slots=True)
class Listener:
    """One subscription: registered immediately, and open as soon as its position was read."""

    subscriber: Subscriber
    cursor: AccountCursor
    began_after: int | None = None
    received: list[int] = field(default_factory=list)

    def read(self) -> None:
        """Receive what is available."""
        if self.began_after is not None:
            with suppress(NothingYetError):
                self.received += [change.sequence for change in _at_once(self.cursor.next())]


class History:
    """One history by its seed; `compares` is False only to show what the comparison is for."""

    def __init__(self, changes: Sequence[RecordedChange], seed: int, *, compares: bool = True) -> None:
        self.database = Database(changes)
        self.listeners: list[Listener] = []
        self._random = Random(seed)
        self._compares = compares
        self._stream = AccountStream(ACCOUNT, early_max_changes=EARLY_CHANGES)
        self._hints: list[int] = []
        self._happenings = (
            [self._commit] * 8
            + [self._hint] * 8
            + [self._catch_up] * 3
            + [self._read] * 5
            + [self._register] * 3
            + [self._open] * 3
            + [self._lose]
            + [self._compare] * compares
        )

    def run(self) -> None:
        """Execute the history, then read until all is delivered."""
        for _ in range(STEPS):
            self._random.choice(self._happenings)()
        for listener in self.listeners:
            self._open_one(listener)
        self._compare()
        while self._stream.is_behind:
            self._catch_up()
        for listener in self.listeners:
            while listener.received[-1:] != [self.database.committed]:
                received = len(listener.received)
                listener.read()
                if len(listener.received) == received:
                    break

    def mistakes(self) -> Sequence[str]:
        """Return what a subscriber received wrongly; empty when each received each change once and in order."""
        newest = self.database.committed
        return [
            f"received {listener.received} after {listener.began_after}, of {newest}"
            for listener in self.listeners
            if listener.received != list(range((listener.began_after or 0) + 1, newest + 1))
        ]

    def _commit(self) -> None:
        self.database.committed += 1
        if self._random.random() >= PUBLISHERS_DEATHS:
            self._hints.append(self.database.committed)

    def _hint(self) -> None:
        if self._hints:
            place = int(self._random.random() * len(self._hints))
            is_repeated = self._random.random() < REPEATS
            number = self._hints[place] if is_repeated else self._hints.pop(place)
            self._stream.receive([self.database.changes[number - 1]], newest=number)

    def _lose(self) -> None:
        self._hints.clear()

    def _compare(self) -> None:
        if self._compares:
            self._stream.receive((), newest=self.database.committed)

    def _catch_up(self) -> None:
        """Catch up a stream that is behind, like the hub."""
        if self._stream.is_behind:
            before = (self._stream.position, self._stream.newest)
            self._stream.receive(self.database.page(self._stream.position or 0), newest=0)
            if before == (self._stream.position, self._stream.newest):
                self._stream.forget_unproved()

    def _register(self) -> None:
        if len(self.listeners) < SUBSCRIBERS_MAX:
            subscriber = NonWaitingSubscriber(buffer_max_changes=BUFFER_CHANGES)
            self._stream.add(subscriber, order_id=None)
            cursor = AccountCursor(subscriber, account_id=ACCOUNT, log=self.database, telemetry=SILENCE)
            self.listeners.append(Listener(subscriber, cursor))

    def _open(self) -> None:
        for listener in self.listeners:
            if listener.began_after is None:
                self._open_one(listener)
                return

    def _open_one(self, listener: Listener) -> None:
        """Read the position, and begin there or at one that the subscriber brings along."""
        if listener.began_after is not None:
            return
        position = self.database.committed
        self._stream.start(position)
        listener.began_after = position if self._random.random() < 0.5 else self._random.randint(0, position)
        if listener.began_after < position:
            listener.cursor.resume_at(listener.began_after)
        else:
            listener.cursor.start_at(position)

    def _read(self) -> None:
        if self.listeners:
            self._random.choice(self.listeners).read()


SILENCE = Silence()


def _at_once(work: Coroutine[object, None, _Value]) -> _Value:
    """Return the result of a coroutine that need not wait. Raises NothingYetError for one that would."""
    try:
        work.send(None)
    except StopIteration as end:
        result: _Value = end.value
        return result
    raise AssertionError("nothing in the model waits")
