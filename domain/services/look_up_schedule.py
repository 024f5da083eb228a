"""When an order may be looked up again: the pause doubles with each look-up that did not settle it. No I/O."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from operator import itemgetter
from typing import Any, Generic, TypeVar

from domain.ports.clock_and_ids import Clock

PUT_OFF_MAX = 20_000
"""Orders whose next look-up is remembered."""

LOOK_UPS_PER_PAGE = 10
"""How many look-ups of single orders the read of a page must be able to save: below, they are made one by one."""

Key = TypeVar("Key")


@dataclass(slots=True)
class _Entry:
    since: datetime
    next_at: datetime
    pause: timedelta


@dataclass(slots=True, kw_only=True)
class LookUpSchedule(Generic[Key]):
    """The next look-ups of orders that were not settled by one. Above `entries_max` the oldest entry is removed."""

    first_pause: timedelta
    pause_max: timedelta
    entries_max: int
    _entries: dict[Key, _Entry] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._entries)

    def is_due(self, key: Key, *, now: datetime) -> bool:
        """Return whether the order may be looked up."""
        entry = self._entries.get(key)
        return entry is None or entry.next_at <= now

    def put_off(self, key: Key, *, now: datetime) -> None:
        """Set the next look-up after one that did not settle the order."""
        entry = self._entries.pop(key, None)
        pause = self.first_pause if entry is None else min(2 * entry.pause, self.pause_max)
        since = now if entry is None else entry.since
        self._entries[key] = _Entry(since=since, next_at=now + pause, pause=pause)
        if len(self._entries) > self.entries_max:
            del self._entries[next(iter(self._entries))]

    def start_over(self, key: Key, *, now: datetime) -> None:
        """Set the next look-up after one without an answer: after the first pause again, or the order would wait long
        after an outage. Since when it is looked up in vain stays as it was."""
        entry = self._entries.get(key)
        since = now if entry is None else entry.since
        self._entries[key] = _Entry(since=since, next_at=now + self.first_pause, pause=self.first_pause)

    def since(self, key: Key) -> datetime | None:
        """Return when the order was first looked up without success; None when it was not."""
        entry = self._entries.get(key)
        return None if entry is None else entry.since

    def next_at(self, key: Key) -> datetime | None:
        """Return when the order may be looked up again; None when it was not looked up without success."""
        entry = self._entries.get(key)
        return None if entry is None else entry.next_at

    def remove(self, key: Key) -> None:
        """Remove the order: it is settled."""
        self._entries.pop(key, None)

    def keep_only(self, keys: Collection[Key]) -> None:
        """Remove every other order."""
        for key in self._entries.keys() - set(keys):
            del self._entries[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpPolicy:
    """Bounds of the look-ups of single orders: how many one run makes, and for how long it starts new ones.

    After an unsuccessful look-up the next one is `first_pause` later, and then twice the pause each time up to
    `pause_max`.
    """

    per_run_max: int
    run_within: timedelta
    first_pause: timedelta
    pause_max: timedelta

    def new_schedule(self) -> LookUpSchedule[Any]:
        """Return an empty schedule with these pauses."""
        return LookUpSchedule(first_pause=self.first_pause, pause_max=self.pause_max, entries_max=PUT_OFF_MAX)

    def run(self, schedule: LookUpSchedule[Key], keys: Iterable[Key], *, clock: Clock) -> Iterator[Key]:
        """Yield the orders that this run looks up: in turn one that was never looked up, and the longest due.

        If one kind came first, more orders of it than one run takes, at each run, would keep all others from ever being
        looked up.
        """
        begun_at, count = clock(), 0
        wanted = list(keys)
        new = [key for key in wanted if schedule.next_at(key) is None]
        again = [(at, key) for key in wanted if (at := schedule.next_at(key)) is not None]
        again.sort(key=itemgetter(0))
        for key in chain.from_iterable(zip_longest(new, (key for _, key in again))):
            if key is None:
                continue
            now = clock()
            if count == self.per_run_max or now - begun_at > self.run_within:
                return
            if schedule.is_due(key, now=now):
                count += 1
                yield key
