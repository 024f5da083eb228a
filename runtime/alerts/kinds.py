"""The one table of what people are told about: the log event, what happened, and what to do.

The stories of the domain only say what happens (`domain.ports.telemetry`). Nothing of an event leaves the house but
what `shown` names: our own order ids and kinds, never an error's text, which may repeat what an account or a venue
wrote.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

ORDER = ("order_id",)
VALUE_SHOWN_MAX_CHARACTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertKind:
    """One row of the table. `told_apart_by` are the event's fields that make two cases different ones; `shown` those
    that a message names. A kind that is `lasting` is one only when it has gone on for a while without an event in
    `ended_by`."""

    name: str
    title: str
    happened: str
    to_do: str
    told_apart_by: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    lasting: bool = False
    ended_by: tuple[str, ...] = ()


ALERTS: Mapping[str, AlertKind] = {
    "order_failed": AlertKind(
        name="order_failed",
        title="order FAILED",
        happened="The order was given up; the exchange does not have it, and nothing more is sent.",
        to_do="Tell the account. Mend the connection to the exchange, then place a new order.",
        told_apart_by=ORDER,
        shown=ORDER,
    ),
    "order_in_doubt_too_long": AlertKind(
        name="order_in_doubt_too_long",
        title="order IN_DOUBT too long",
        happened="The order was sent, and for too long nobody knows whether the exchange has it.",
        to_do="Look the order up at the exchange by its id as the client order id. It is resolved by itself once "
        "look-ups are answered again; do not place it a second time before.",
        told_apart_by=ORDER,
        shown=ORDER,
    ),
    "order_pending_too_long": AlertKind(
        name="order_pending_too_long",
        title="order PENDING too long",
        happened="The order was accepted long ago and has not been brought to the exchange.",
        to_do="See whether a worker runs and whether the exchange takes orders: placement_attempts_total by outcome.",
        told_apart_by=ORDER,
        shown=ORDER,
    ),
    "order_anomaly": AlertKind(
        name="order_anomaly",
        title="anomaly of an order",
        happened="The exchange reported what should not happen: too much filled, a fill after the end, several ends.",
        to_do="Compare the order and its executions with the exchange's records, and decide by hand.",
        told_apart_by=("order_id", "kind"),
        shown=("kind", "order_id"),
    ),
    "venue_order_mismatch": AlertKind(
        name="venue_order_mismatch",
        title="another order under our order's id",
        happened="The exchange has a different order under our order's id. It is neither adopted nor sent again.",
        to_do="Compare both orders and decide by hand.",
        told_apart_by=ORDER,
        shown=ORDER,
    ),
    "venue_contradicts_itself": AlertKind(
        name="venue_contradicts_itself",
        title="order claimed and not shown",
        happened="The exchange refuses the order as one that it has, and has long not shown it. It stays in doubt.",
        to_do="Ask the exchange whether it has the order, by its id as the client order id.",
        told_apart_by=ORDER,
        shown=ORDER,
    ),
    "venue_unauthorized": AlertKind(
        name="venue_unauthorized",
        title="the exchange refuses our key",
        happened="The exchange does not accept the key. Orders wait meanwhile; no attempt is counted.",
        to_do="Mend EXCHANGE_KEY and EXCHANGE_SECRET, then restart the workers and ingest.",
    ),
    "venue_circuit_opened": AlertKind(
        name="circuit_opened",
        title="the exchange does not answer: circuit open",
        happened="A run of failures opened the circuit. Orders wait, and the exchange is probed gently.",
        to_do="Find out whether the exchange is down. The circuit closes by itself when a probe succeeds.",
    ),
    "trading_halted": AlertKind(
        name="trading_halted",
        title="trading is HALTED",
        happened="An operator halted trading, for one account or for all. Nothing new is accepted or sent.",
        to_do="Nothing, if you know why. Who and why: python -m runtime trading status. Cancels are open; resume when "
        "it is over.",
        told_apart_by=("halt_id",),
        shown=("halt_id",),
    ),
    "trading_halt_unconfirmed": AlertKind(
        name="trading_halt_unconfirmed",
        title="trading may be HALTED",
        happened="An operator halted trading, and the database did not confirm it. It may hold already, or not at all.",
        to_do="See whether it holds: python -m runtime trading status. Repeat the halt until it is answered.",
        told_apart_by=("account",),
    ),
    "trading_resume_unconfirmed": AlertKind(
        name="trading_resume_unconfirmed",
        title="trading may go on",
        happened="An operator ended a halt of trading, and the database did not confirm it. Trading may go on already.",
        to_do="See whether it does: python -m runtime trading status. Repeat it until it is answered.",
        told_apart_by=("account",),
    ),
    "trading_resumed": AlertKind(
        name="trading_resumed",
        title="trading goes on",
        happened="An operator ended a halt of trading. Orders are accepted again, and what waited is sent.",
        to_do="Nothing. Who and why: python -m runtime trading status --all.",
        told_apart_by=("halt_id",),
        shown=("halt_id",),
    ),
    "stream_lost": AlertKind(
        name="stream_down",
        title="the exchange's stream is down",
        happened="The execution stream cannot be followed for a while. Fills are not seen live.",
        to_do="See why in the log event stream_lost. Ingest reconnects by itself and catches up what was missed.",
        lasting=True,
        ended_by=("stream_connected", "leadership_lost", "standing_by"),
    ),
    "dead_letter": AlertKind(
        name="dead_letter",
        title="dead letter",
        happened="The exchange sent what could not be understood or recorded. Nothing else was held up.",
        to_do="Read the raw message in the table dead_letters.",
        told_apart_by=("error",),
    ),
    "dead_letter_lost": AlertKind(
        name="dead_letter_lost",
        title="dead letter that could not be stored",
        happened="The exchange sent what could not be understood, and the database did not take it.",
        to_do="Read the raw message in the log event dead_letter_lost.",
        told_apart_by=("error",),
    ),
    "venue_row_unreadable": AlertKind(
        name="venue_row_unreadable",
        title="unreadable row in the exchange's list",
        happened="A row of the exchange's lists could not be read and was left out.",
        to_do="Look up row_id of the log event venue_row_unreadable at the exchange.",
        told_apart_by=("row_id",),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One case of a kind. `case` tells it from others without saying what it is; `label` is what a message names."""

    kind: AlertKind
    case: str
    label: str


@dataclass(slots=True, kw_only=True)
class AlertMatcher:
    """Tells which events are alerts. `lasting_seconds` is how long a lasting kind must go on first."""

    lasting_seconds: float
    _began: dict[str, float] = field(default_factory=dict)

    def notice(self, event: str, fields: Mapping[str, object], *, now: float) -> Alert | None:
        """The alert that this event is, if any; `now` in seconds of a clock that never jumps."""
        kind = ALERTS.get(event)
        if kind is None:
            self._end(event)
            return None
        if kind.lasting and now - self._began.setdefault(event, now) < self.lasting_seconds:
            return None
        return alert_of(kind, fields)

    def _end(self, event: str) -> None:
        for name in [name for name in self._began if event in ALERTS[name].ended_by]:
            del self._began[name]


def alert_of(kind: AlertKind, fields: Mapping[str, object]) -> Alert:
    """The case that the fields describe."""
    apart = "\0".join(str(fields.get(name, "")) for name in kind.told_apart_by)
    shown = (str(fields[name])[:VALUE_SHOWN_MAX_CHARACTERS] for name in kind.shown if name in fields)
    return Alert(kind=kind, case=hashlib.sha256(apart.encode(errors="replace")).hexdigest()[:32], label=" ".join(shown))
