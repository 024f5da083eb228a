"""How many requests a venue still accepts, and which class may make the next one. Pure: the time is an argument.

Grants are counted in slots, SLOTS_OF_A_WINDOW to a window, and those of the last window are never more than the venue's
limit. A token bucket would need less memory, but it satisfies a limit in *every* window only if its burst and a
window's refill together stay within it: with a burst of half the limit the steady rate is half of the venue's limit.
Counted slots allow the whole limit in a burst, and 92 to 96 % of it continuously.

Every class of requests has a reserve in each window that no other class can use. The rest is common: a class uses it
only while more than its threshold remains, and the threshold increases with falling priority.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import chain
from math import inf

WINDOW_SECONDS = 60.0
SLOTS_OF_A_WINDOW = 24
SLOTS_COUNTED = SLOTS_OF_A_WINDOW + 1
"""Slots before the present one that count: a window touches one more than it holds, and one more is there for
requests that take up to a slot longer to the venue than those after them."""


class RequestPriority(IntEnum):
    """The classes of requests to a venue, the most urgent first."""

    KILL = 0
    CANCEL = 1
    SUBMIT = 2
    LOOK_UP = 3
    CATCH_UP = 4

    @property
    def label(self) -> str:
        """The name in settings and metrics."""
        return self.name.lower()


COMMON_THRESHOLDS: Mapping[RequestPriority, float] = {
    RequestPriority.KILL: 0.0,
    RequestPriority.CANCEL: 0.0,
    RequestPriority.SUBMIT: 0.1,
    RequestPriority.LOOK_UP: 0.3,
    RequestPriority.CATCH_UP: 0.5,
}
"""The share of the common part that a class leaves to those before it."""

Shares = Mapping[RequestPriority, float]
"""The minimum share of each class, as parts of 1; together at most 1."""

_NOTHING = (0,) * len(RequestPriority)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateAnnouncement:
    """The limit announced in an answer. `reset` is the venue's own name of the window (its end in epoch seconds),
    `resets_in_seconds` the time until then.
    """

    limit: int
    remaining: int | None = None
    reset: float = 0.0
    resets_in_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateBudget:
    """The granted requests of the last window, by slot and class, and the venue's announcement.

    `remaining` is valid until `remaining_until` (epoch seconds) and decreases with every grant: it is lower than the
    count of grants when other programs use the same key. `announced_at` is when a limit was last announced to any
    process (epoch seconds).
    """

    limit: int
    window_seconds: float = WINDOW_SECONDS
    used: Mapping[int, Sequence[int]] = field(default_factory=dict)
    remaining: int | None = None
    reset: float = 0.0
    remaining_until: float = 0.0
    announced_at: float = 0.0

    def announced(self, announcement: RateAnnouncement, *, now: float) -> "RateBudget":
        """Return the budget corrected by an announcement; one of an earlier window is ignored while the announced
        one lasts.
        """
        budget = replace(self, limit=announcement.limit, announced_at=now)
        if announcement.remaining is None:
            return budget
        remaining = announcement.remaining
        if self._holds(now) and announcement.reset <= self.reset:
            is_same = announcement.reset == self.reset and self.remaining is not None
            return replace(budget, remaining=min(self.remaining or 0, remaining)) if is_same else budget
        return replace(
            budget,
            remaining=remaining,
            reset=announcement.reset,
            remaining_until=now + min(announcement.resets_in_seconds, self.window_seconds),
        )

    def taken(self, priority: RequestPriority, *, now: float) -> "RateBudget":
        """Return the budget after one more grant. Slots that no longer count are dropped."""
        slot = self._slot(now)
        used = {number: counts for number, counts in self.used.items() if _counts(number, slot)}
        counts = list(used.get(slot, _NOTHING))
        counts[priority] += 1
        used[slot] = tuple(counts)
        remaining = None if self.remaining is None else max(self.remaining - 1, 0)
        return replace(self, used=used, remaining=remaining)

    def wait_seconds(self, priority: RequestPriority, *, shares: Shares, now: float) -> float:
        """Return how long the class must wait for its next request if no other request is made; 0 when it may be
        made now.
        """
        slot_seconds = self.window_seconds / SLOTS_OF_A_WINDOW
        frees = ((number + SLOTS_COUNTED + 1) * slot_seconds for number in self.used)
        moments = sorted(moment for moment in chain(frees, (self.remaining_until,)) if moment > now)
        for moment in (now, *moments):
            if self._may_take(priority, shares=shares, now=moment):
                return moment - now
        return self.window_seconds

    def left(self, *, now: float) -> int:
        """Return how many requests are left for all classes together."""
        total = sum(self._used(now))
        capped = self.remaining if self.remaining is not None and self._holds(now) else inf
        return int(max(min(self.limit - total, capped), 0))

    def _holds(self, now: float) -> bool:
        """Return whether the announced window lasts. One that ends later than a window from now was stored before the
        clock was put back."""
        return now < self.remaining_until <= now + self.window_seconds

    def _may_take(self, priority: RequestPriority, *, shares: Shares, now: float) -> bool:
        used, reserves = self._used(now), reserves_of(self.limit, shares)
        unused = [max(reserve - count, 0) for reserve, count in zip(reserves, used, strict=True)]
        if unused[priority]:
            # Only requests of other programs with the same key can leave less than all reserves together; then urgent
            # classes have precedence.
            return self.left(now=now) > sum(unused[:priority])
        common = self.limit - sum(reserves)
        return self.left(now=now) > sum(unused) + int(common * COMMON_THRESHOLDS[priority])

    def _used(self, now: float) -> Sequence[int]:
        slot = self._slot(now)
        counted = [counts for number, counts in self.used.items() if _counts(number, slot)]
        return [sum(counts) for counts in zip(_NOTHING, *counted, strict=True)]

    def _slot(self, now: float) -> int:
        return int(now * SLOTS_OF_A_WINDOW / self.window_seconds)


def reserves_of(limit: int, shares: Shares) -> Sequence[int]:
    """Return the reserved requests of each class in a window: one, and its share of the remainder.

    A limit below the number of classes is too small to be divided: all of it is common.
    """
    rest = limit - len(RequestPriority)
    if rest < 0:
        return _NOTHING
    return [1 + int(rest * shares.get(priority, 0.0)) for priority in RequestPriority]


def _counts(number: int, present: int) -> bool:
    """Whether a slot counts. One far in the future was written by a clock that has been put back since."""
    return present - SLOTS_COUNTED <= number <= present + SLOTS_COUNTED
