"""Groups many alerts into few messages: each alert once in a while, and many of one kind as one message. Pure.

The first alert of a kind waits for a moment, so that those that follow go into the same message. While a kind goes on,
that wait doubles with each message: an outage that fails ten thousand orders is a dozen messages, not thousands.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runtime.alerts.kinds import AlertKind
from runtime.alerts.matching import Alert

ALERTS_REMEMBERED_MAX = 50_000
ALERTS_PER_GROUP_MAX = 1_000
LABELS_SHOWN_MAX = 5

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """What is sent to a channel."""

    title: str
    body: str
    kind: str


@dataclass(slots=True, kw_only=True)
class AlertGroup:
    """Alerts of one kind that are sent together: all are counted, the first ALERTS_PER_GROUP_MAX are kept."""

    kind: AlertKind
    due_at: float
    wait_seconds: float
    alerts: list[Alert] = field(default_factory=list)
    omitted: int = 0

    @property
    def count(self) -> int:
        """The number of alerts, omitted ones included."""
        return len(self.alerts) + self.omitted

    def only(self, fingerprints: Iterable[str]) -> "AlertGroup | None":
        """Return the group with only these of its alerts, or None when none of them is left."""
        wanted = set(fingerprints)
        kept = [alert for alert in self.alerts if alert.fingerprint in wanted]
        if not kept:
            return None
        return AlertGroup(
            kind=self.kind, due_at=self.due_at, wait_seconds=self.wait_seconds, alerts=kept, omitted=self.omitted
        )


@dataclass(slots=True, kw_only=True)
class AlertGrouping:
    """The groups that wait to be sent. Every moment is in seconds of a monotonic clock."""

    repeat_seconds: float
    gather_seconds: float
    gather_max_seconds: float
    _added_at: OrderedDict[Key, float] = field(default_factory=OrderedDict)
    _groups: dict[str, AlertGroup] = field(default_factory=dict)
    _last: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of each kind, when its last group was taken, and how many seconds that one had waited."""

    def add(self, alert: Alert, *, now: float) -> bool:
        """Add an alert to the group of its kind; False when the same one was added within `repeat_seconds`."""
        key = (alert.kind.name, alert.fingerprint)
        if now - self._added_at.get(key, -self.repeat_seconds) < self.repeat_seconds:
            return False
        self._added_at[key] = now
        self._added_at.move_to_end(key)
        if len(self._added_at) > ALERTS_REMEMBERED_MAX:
            self._added_at.popitem(last=False)
        group = self._groups.get(alert.kind.name) or self._begin(alert.kind, now)
        if len(group.alerts) < ALERTS_PER_GROUP_MAX:
            group.alerts.append(alert)
        else:
            group.omitted += 1
        return True

    def due_at(self) -> float | None:
        """Return when the next group is due, or None without groups."""
        return min((group.due_at for group in self._groups.values()), default=None)

    def take_due(self, *, now: float) -> Sequence[AlertGroup]:
        """Remove and return the groups that are due."""
        due = [group for group in self._groups.values() if group.due_at <= now]
        for group in due:
            del self._groups[group.kind.name]
            self._last[group.kind.name] = (now, group.wait_seconds)
        return due

    def forget(self, alerts: Iterable[Alert]) -> None:
        """Accept these alerts again at once: no channel delivered them."""
        for alert in alerts:
            self._added_at.pop((alert.kind.name, alert.fingerprint), None)

    def _begin(self, kind: AlertKind, now: float) -> AlertGroup:
        taken_at, waited_seconds = self._last.get(kind.name, (-self.gather_max_seconds, 0.0))
        is_going_on = now - taken_at < self.gather_max_seconds
        wait_seconds = min(2 * waited_seconds, self.gather_max_seconds) if is_going_on else self.gather_seconds
        self._groups[kind.name] = AlertGroup(kind=kind, due_at=now + wait_seconds, wait_seconds=wait_seconds)
        return self._groups[kind.name]


def message_of(group: AlertGroup, *, process: str) -> AlertMessage:
    """Return the message of a group: what happened, what to do, how many, and the first few by their ids."""
    times = f" ({group.count} times)" if group.count > 1 else ""
    lines = [group.kind.summary, f"What to do: {group.kind.action}"]
    labels = [alert.label for alert in group.alerts if alert.label]
    if labels:
        more = group.count - len(labels[:LABELS_SHOWN_MAX])
        lines.append("Which: " + ", ".join(labels[:LABELS_SHOWN_MAX]) + (f" and {more} more" if more else ""))
    lines.append(f"Reported by: {process}, as {group.kind.name}")
    return AlertMessage(title=f"Fillwire: {group.kind.title}{times}", body="\n".join(lines), kind=group.kind.name)
