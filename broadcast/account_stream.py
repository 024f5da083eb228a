"""One followed account in a process: orders its changes and passes each to the subscribers once. No I/O.

The account's sequence has no gaps. So `position` (everything up to it was passed on) and `newest` (the highest sequence
known to exist) are enough: late and repeated changes are dropped, early ones wait, and a difference that persists must
be read from the database.
"""

from collections.abc import Iterable
from uuid import UUID

from broadcast.subscriber import Cause, Subscriber
from domain.model.changes import RecordedChange


class AccountStream:
    """The changes of one account, in order, and their subscribers."""

    def __init__(self, account_id: str, *, early_max_changes: int) -> None:
        self.account_id = account_id
        self.position: int | None = None
        self.newest = 0
        self._early: dict[int, RecordedChange] = {}
        self._early_max_changes = early_max_changes
        self._of_account: set[Subscriber] = set()
        self._of_order: dict[UUID, set[Subscriber]] = {}

    @property
    def is_followed(self) -> bool:
        """Whether the account has a subscriber."""
        return bool(self._of_account or self._of_order)

    @property
    def is_behind(self) -> bool:
        """Whether changes exist that have not been handed out."""
        return self.position is not None and self.position < self.newest

    def add(self, subscriber: Subscriber, *, order_id: UUID | None) -> None:
        """Pass changes to this subscriber too: all of the account, or those of one order."""
        followers = self._of_account if order_id is None else self._of_order.setdefault(order_id, set())
        followers.add(subscriber)

    def remove(self, subscriber: Subscriber, *, order_id: UUID | None) -> None:
        """Remove the subscriber."""
        if order_id is None:
            self._of_account.discard(subscriber)
            return
        followers = self._of_order.get(order_id, set())
        followers.discard(subscriber)
        if not followers:
            self._of_order.pop(order_id, None)

    def start(self, position: int) -> None:
        """Begin after this sequence, unless it has begun. Until then every change is early."""
        if self.position is None:
            self.position = position
            self._hand_out_early()

    def receive(self, changes: Iterable[RecordedChange], *, newest: int) -> None:
        """Accept changes in any order, and record the highest existing sequence."""
        for change in changes:
            self._take(change)
            newest = max(newest, change.sequence)
        self.newest = max(self.newest, newest)
        self._hand_out_early()

    def forget_unproved(self) -> None:
        """Trust the database: no sequence is newer than the position."""
        self._early.clear()
        self.newest = self.position or 0

    def jump(self, position: int) -> None:
        """Continue after this sequence: what is before it cannot be read, and each subscriber catches up by itself."""
        self.position = max(position, self.position or 0)
        self.newest = max(self.position, *self._early, 0)
        for subscriber in self._subscribers():
            subscriber.fall_behind(Cause.GAP)
        self._hand_out_early()

    def move_back(self, position: int) -> None:
        """Continue after this sequence, which is lower than what was delivered: each subscriber starts again."""
        self._early.clear()
        self.position = self.newest = position
        for subscriber in self._subscribers():
            subscriber.fall_behind(Cause.MOVED_BACK)

    def _take(self, change: RecordedChange) -> None:
        if self.position is not None and change.sequence == self.position + 1:
            self._hand_out(change)
        elif len(self._early) < self._early_max_changes and change.sequence > (self.position or 0):
            self._early[change.sequence] = change

    def _hand_out_early(self) -> None:
        """Pass on the early changes that are next, and drop those that were passed on already."""
        if self.position is None or not self._early:
            return
        while (change := self._early.pop(self.position + 1, None)) is not None:
            self._hand_out(change)
        for sequence in [each for each in self._early if each <= self.position]:
            del self._early[sequence]

    def _hand_out(self, change: RecordedChange) -> None:
        self.position = change.sequence
        for subscriber in self._of_account:
            subscriber.offer(change)
        for subscriber in self._of_order.get(change.order.id, ()):
            subscriber.offer(change)

    def _subscribers(self) -> Iterable[Subscriber]:
        yield from self._of_account
        for followers in self._of_order.values():
            yield from followers
