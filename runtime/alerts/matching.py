"""Matches log events with the table of alerts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.alerts.kinds import ALERTS, AlertKind

VALUE_SHOWN_MAX_CHARACTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of a kind. `fingerprint` identifies it without showing its fields; `label` is what a message names."""

    kind: AlertKind
    fingerprint: str
    label: str


@dataclass(slots=True, kw_only=True)
class AlertMatcher:
    """Decides which events are alerts. A sustained kind must last for `sustained_seconds` first."""

    sustained_seconds: float
    _began_at: dict[tuple[str, str], float] = field(default_factory=dict)

    def match(self, event: str, fields: Mapping[str, object], *, now: float) -> Alert | None:
        """Return the alert that this event is, or None; `now` is in seconds of a monotonic clock."""
        kind = ALERTS.get(event)
        if kind is None:
            self._end(event, fields)
            return None
        alert = alert_of(kind, fields)
        if kind.sustained and now - self._began_at.setdefault((event, alert.fingerprint), now) < self.sustained_seconds:
            return None
        return alert

    def _end(self, event: str, fields: Mapping[str, object]) -> None:
        for begun in [begun for begun in self._began_at if event in ALERTS[begun[0]].ended_by]:
            if begun[1] == alert_of(ALERTS[begun[0]], fields).fingerprint:
                del self._began_at[begun]


def alert_of(kind: AlertKind, fields: Mapping[str, object]) -> Alert:
    """Return the alert of this kind that the fields describe."""
    identity = "\0".join(str(fields.get(name, "")) for name in kind.identity_fields)
    shown = (str(fields[name])[:VALUE_SHOWN_MAX_CHARACTERS] for name in kind.shown_fields if name in fields)
    return Alert(
        kind=kind,
        fingerprint=hashlib.sha256(identity.encode(errors="replace")).hexdigest()[:32],
        label=" ".join(shown),
    )
