"""Makes few messages of many alerts: each case once in a while, and a burst of one kind as one message. Pure.

The first alert of a kind waits for a moment, so that what comes with it goes out with it. While a kind goes on, that
moment doubles with each message: an outage that fails ten thousand orders is a dozen messages, not thousands.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runtime.alerts.kinds import Alert, AlertKind

CASES_REMEMBERED_MAX = 50_000
CASES_PER_BURST_MAX = 1_000
LABELS_SHOWN_MAX = 5

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """What goes to a channel."""

    title: str
    body: str
    kind: str


@dataclass(slots=True, kw_only=True)
class AlertGroup:
    """Alerts of one kind that go out together: all are counted, the first CASES_PER_BURST_MAX are known."""

    kind: AlertKind
    due_at: float
    wait: float
    alerts: list[Alert] = field(default_factory=list)
    more: int = 0

    @property
    def count(self) -> int:
        """How many cases there are."""
        return len(self.alerts) + self.more

    def only(self, cases: Iterable[str]) -> "AlertGroup | None":
        """The burst with these of its known cases; none when nothing is left to tell."""
        wanted = set(cases)
        kept = [alert for alert in self.alerts if alert.case in wanted]
        if not kept:
            return None
        return AlertGroup(kind=self.kind, due_at=self.due_at, wait=self.wait, alerts=kept, more=self.more)


@dataclass(slots=True, kw_only=True)
class AlertGrouping:
    """Gathers alerts. Every moment is in seconds of a clock that never jumps."""

    repeat_seconds: float
    gather_seconds: float
    gather_max_seconds: float
    _said: OrderedDict[Key, float] = field(default_factory=OrderedDict)
    _bursts: dict[str, AlertGroup] = field(default_factory=dict)
    _last: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of each kind, when its last burst was taken, and how long that one had waited."""

    def add(self, alert: Alert, *, now: float) -> bool:
        """Take an alert in; False when the same case was told within `repeat_seconds`."""
        key = (alert.kind.name, alert.case)
        if now - self._said.get(key, -self.repeat_seconds) < self.repeat_seconds:
            return False
        self._said[key] = now
        self._said.move_to_end(key)
        if len(self._said) > CASES_REMEMBERED_MAX:
            self._said.popitem(last=False)
        burst = self._bursts.get(alert.kind.name) or self._begin(alert.kind, now)
        if len(burst.alerts) < CASES_PER_BURST_MAX:
            burst.alerts.append(alert)
        else:
            burst.more += 1
        return True

    def due_at(self) -> float | None:
        """When the next burst is to go out."""
        return min((burst.due_at for burst in self._bursts.values()), default=None)

    def take(self, *, now: float) -> Sequence[AlertGroup]:
        """The bursts that are due."""
        due = [burst for burst in self._bursts.values() if burst.due_at <= now]
        for burst in due:
            del self._bursts[burst.kind.name]
            self._last[burst.kind.name] = (now, burst.wait)
        return due

    def forget(self, alerts: Iterable[Alert]) -> None:
        """These did not reach anybody: the next time they are told again."""
        for alert in alerts:
            self._said.pop((alert.kind.name, alert.case), None)

    def _begin(self, kind: AlertKind, now: float) -> AlertGroup:
        taken_at, waited = self._last.get(kind.name, (-self.gather_max_seconds, 0.0))
        is_going_on = now - taken_at < self.gather_max_seconds
        wait = min(2 * waited, self.gather_max_seconds) if is_going_on else self.gather_seconds
        self._bursts[kind.name] = AlertGroup(kind=kind, due_at=now + wait, wait=wait)
        return self._bursts[kind.name]


def message_of(burst: AlertGroup, *, process: str) -> AlertMessage:
    """The words of a burst: what happened, what to do, how many, and the first few by their ids."""
    times = f" ({burst.count} times)" if burst.count > 1 else ""
    lines = [burst.kind.happened, f"What to do: {burst.kind.to_do}"]
    labels = [alert.label for alert in burst.alerts if alert.label]
    if labels:
        more = burst.count - len(labels[:LABELS_SHOWN_MAX])
        lines.append("Which: " + ", ".join(labels[:LABELS_SHOWN_MAX]) + (f" and {more} more" if more else ""))
    lines.append(f"Said by: {process}, as {burst.kind.name}")
    return AlertMessage(title=f"Fillwire: {burst.kind.title}{times}", body="\n".join(lines), kind=burst.kind.name)
