"""Groups alerts by one rule: one message per kind and `repeat_seconds`, with a count and the first five ids. Pure.

The first alert of a kind waits for `gather_seconds`, so that a burst is one message. Later alerts wait until
`repeat_seconds` after that message; a case that the message has named is left out until then.
"""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from runtime.alerts.kinds import AlertKind
from runtime.alerts.matching import Alert

CASES_NAMED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """What is sent to a channel."""

    title: str
    body: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LastMessage:
    """The last message of a kind: when the next one may follow, and the fingerprints of the cases that it named."""

    next_at: float
    named: AbstractSet[str]


NO_MESSAGE = LastMessage(next_at=float("-inf"), named=frozenset())


@dataclass(slots=True, kw_only=True)
class AlertGroup:
    """Alerts of one kind that are sent together: the count of each of the first cases, and of all others.

    `began_at` and `due_at` are in seconds of a monotonic clock; `first_time` and `last_time` are for people.
    """

    kind: AlertKind
    began_at: float
    due_at: float
    first_time: datetime
    last_time: datetime
    cases: Counter[Alert] = field(default_factory=Counter)
    unnamed: int = 0

    @property
    def named(self) -> AbstractSet[str]:
        """The fingerprints of the first cases."""
        return frozenset(alert.fingerprint for alert in self.cases)

    @property
    def count(self) -> int:
        """The number of alerts."""
        return self.cases.total() + self.unnamed


@dataclass(slots=True, kw_only=True)
class AlertGrouping:
    """The groups that wait to be sent, one for each kind at most. `now` is in seconds of a monotonic clock."""

    repeat_seconds: float
    gather_seconds: float
    _groups: dict[str, AlertGroup] = field(default_factory=dict)
    _last: dict[str, LastMessage] = field(default_factory=dict)

    def add(self, alert: Alert, *, now: float, time: datetime) -> bool:
        """Add an alert to the group of its kind; return False when the last message has named its case."""
        last = self._last.get(alert.kind.name, NO_MESSAGE)
        if now < last.next_at and alert.fingerprint in last.named:
            return False
        due_at = max(now + self.gather_seconds, last.next_at)
        new = AlertGroup(kind=alert.kind, began_at=now, due_at=due_at, first_time=time, last_time=time)
        group = self._groups.setdefault(alert.kind.name, new)
        group.last_time = time
        if alert in group.cases or len(group.cases) < CASES_NAMED_MAX:
            group.cases[alert] += 1
        else:
            group.unnamed += 1
        return True

    def next_due_at(self) -> float | None:
        """Return when the next group is due, or None without groups."""
        return min((group.due_at for group in self._groups.values()), default=None)

    def due(self, *, now: float) -> Sequence[AlertGroup]:
        """Return the groups that are due; each stays until it is taken."""
        return [group for group in self._groups.values() if group.due_at <= now]

    def take(self, group: AlertGroup, *, other: LastMessage | None, now: float) -> bool:
        """Remove a due group and return True when its message is to be sent now.

        After the message of another process it waits like after one of its own, but never longer than `repeat_seconds`,
        and the cases that this message has named are left out; an empty group is removed.
        """
        if other is not None:
            self._last[group.kind.name] = other
            group.cases = Counter({case: n for case, n in group.cases.items() if case.fingerprint not in other.named})
            group.due_at = min(other.next_at, group.began_at + self.repeat_seconds)
            if group.count and now < group.due_at:
                return False
        del self._groups[group.kind.name]
        if group.count:
            self._last[group.kind.name] = LastMessage(next_at=now + self.repeat_seconds, named=group.named)
        return bool(group.count)

    def forget(self, kind: str) -> None:
        """Send the next alert of this kind without waiting: no channel delivered the last message."""
        self._last.pop(kind, None)
        if kind in self._groups:
            self._groups[kind].due_at = self._groups[kind].began_at + self.gather_seconds


def message_of(group: AlertGroup, *, process: str) -> AlertMessage:
    """Return the message of a group: what happened, what to do, how often, when, and the first few ids."""
    times = f" ({group.count} times)" if group.count > 1 else ""
    lines = [group.kind.summary, f"What to do: {group.kind.action}"]
    labels = [case.label for case in group.cases if case.label]
    if labels:
        lines.append("Which: " + ", ".join(labels) + (f" and others ({group.unnamed} times)" if group.unnamed else ""))
    first, last = (f"{time:%Y-%m-%d %H:%M:%S} UTC" for time in (group.first_time, group.last_time))
    lines.append(f"When: {first}" + (f" to {last}" if last != first else ""))
    lines.append(f"Reported by: {process}, as {group.kind.name}")
    return AlertMessage(title=f"Fillwire: {group.kind.title}{times}", body="\n".join(lines), kind=group.kind.name)
