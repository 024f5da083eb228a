"""The table of alerts: the log event, what happened, and what to do.

The services of the domain only log events (`domain.ports.telemetry`). A message contains only an event's
`shown_fields`: our own order ids and kinds, never an error's text, which may contain text of an account or a venue.
"""

from collections.abc import Mapping
from dataclasses import dataclass

ORDER = ("order_id",)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertKind:
    """One row of the table.

    Two events with equal `identity_fields` are the same alert. `shown_fields` are the only fields that a message names.
    A `sustained` kind is an alert once it has lasted for a while without an event in `ended_by` of the same identity.
    """

    name: str
    title: str
    summary: str
    action: str
    identity_fields: tuple[str, ...] = ()
    shown_fields: tuple[str, ...] = ()
    sustained: bool = False
    ended_by: tuple[str, ...] = ()


ALERTS: Mapping[str, AlertKind] = {
    "order_failed": AlertKind(
        name="order_failed",
        title="order FAILED",
        summary="Every attempt was used up; the exchange does not have the order, and nothing more is sent.",
        action="Notify the account. Fix the connection to the exchange, then place a new order.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "order_refused": AlertKind(
        name="order_refused",
        title="orders are refused",
        summary="The database could not store an order. Nothing was stored, and the client was asked to retry.",
        action="By cause: read only, connect to the primary; disk full, make room; refused, correct DATABASE_URL; else "
        "see the log event order_refused and /readyz. orders_refused_total counts them.",
        identity_fields=("cause",),
        shown_fields=("cause",),
    ),
    "order_revived": AlertKind(
        name="order_revived",
        title="order live again",
        summary="The order was REJECTED, FAILED or CANCELED, and the exchange shows that it has it. It can fill.",
        action="Notify the account, which may have placed another order instead. Cancel the one that is not wanted. "
        "Find out what gave the wrong answer: a proxy in front of the exchange, or the exchange.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "order_in_doubt_too_long": AlertKind(
        name="order_in_doubt_too_long",
        title="order IN_DOUBT too long",
        summary="The order was sent, and it has been unknown for too long whether the exchange has it.",
        action="Look the order up at the exchange by the venue_client_order_id of the log event. It is resolved by "
        "itself once look-ups are answered again; do not place it a second time before.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "order_pending_too_long": AlertKind(
        name="order_pending_too_long",
        title="order PENDING too long",
        summary="The order was accepted long ago and has not been sent to the exchange.",
        action="Check that a worker runs and that the exchange accepts orders: submission_attempts_total by outcome.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "order_anomaly": AlertKind(
        name="order_anomaly",
        title="anomaly of an order",
        summary="The exchange reported what should not happen: too much filled, a fill after the end, several ends.",
        action="Compare the order and its executions with the exchange's records, and decide by hand.",
        identity_fields=("order_id", "kind"),
        shown_fields=("kind", "order_id"),
    ),
    "fills_missing": AlertKind(
        name="fills_missing",
        title="fills that the exchange counts and does not list",
        summary="The exchange counts more of the order as filled than is recorded, and does not list the rest.",
        action="Compare the order with the exchange's statement: the log event fills_missing has both quantities. "
        "Missing fills are looked up until they are found; otherwise resolve the order by hand.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "fills_excess": AlertKind(
        name="fills_excess",
        title="fills that the exchange no longer counts",
        summary="The exchange counts less of the order as filled than is recorded: it undid or corrected an execution "
        "without a report.",
        action="Compare the executions with the exchange's statement, and undo the one that it no longer has by hand.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "order_taken_back": AlertKind(
        name="order_taken_back",
        title="filled order of which the exchange took executions back",
        summary="The exchange calls the order filled, and has taken executions of it back since: it goes on nowhere "
        "there, and stays open here.",
        action="Ask the exchange how it ended, and end it by hand: fillwire orders end. A cancel of it is refused.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "venue_order_mismatch": AlertKind(
        name="venue_order_mismatch",
        title="another order under our order's client order id",
        summary="The exchange has a different order under our order's client order id. It is neither adopted nor sent "
        "again.",
        action="Compare both orders and decide by hand.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "venue_order_unknown": AlertKind(
        name="venue_order_unknown",
        title="order of ours at the exchange that is not stored",
        summary="The exchange has an order whose client order id is ours, and the database does not have it: it was "
        "restored to an earlier moment. Its fills are not recorded.",
        action="Have the client repeat placeOrder with the same client order id: the order is adopted, not placed "
        "again. Its id at the exchange is in the log event; docs/operations.md has the steps if it is not repeated.",
        identity_fields=("venue_client_order_id",),
    ),
    "venue_lost_order": AlertKind(
        name="venue_lost_order",
        title="order that the exchange does not know any more",
        summary="The exchange accepted the order, and its look-ups have answered for a while that there is no such "
        "order. Its status stays as it is: the order may have been executed.",
        action="Ask the exchange for its outcome, by the venue_order_id of the log event, and compare the position. "
        "It is looked up at growing intervals; nothing is concluded automatically.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "venue_contradicts_itself": AlertKind(
        name="venue_contradicts_itself",
        title="order known to the exchange and not shown",
        summary="The exchange refuses the order as one that it has, and has long not shown it. It stays in doubt.",
        action="Ask the exchange whether it has the order, by the venue_client_order_id of the log event.",
        identity_fields=ORDER,
        shown_fields=ORDER,
    ),
    "venue_unauthorized": AlertKind(
        name="venue_unauthorized",
        title="the exchange refuses our key",
        summary="The exchange does not accept the key. Orders wait meanwhile; no attempt is counted.",
        action="Fix EXCHANGE_KEY and EXCHANGE_SECRET, then restart the workers and ingest.",
    ),
    "venue_circuit_opened": AlertKind(
        name="circuit_opened",
        title="the exchange does not answer: circuit open",
        summary="A run of failures opened the circuit. Orders wait; the exchange is probed with one order at a time.",
        action="Find out whether the exchange is down. The circuit closes by itself when a probe succeeds.",
    ),
    "trading_halted": AlertKind(
        name="trading_halted",
        title="trading is HALTED",
        summary="An operator halted trading, for one account or for all. Nothing new is accepted or sent.",
        action="Nothing, if you know why. Who and why: python -m runtime trading status. Cancels are open; resume when "
        "it is over.",
        identity_fields=("halt_id",),
        shown_fields=("halt_id",),
    ),
    "trading_halt_unconfirmed": AlertKind(
        name="trading_halt_unconfirmed",
        title="trading may be HALTED",
        summary="An operator halted trading, and the database did not confirm it. It may hold already, or not at all.",
        action="See whether it holds: python -m runtime trading status. Repeat the halt until it is answered.",
        identity_fields=("account",),
    ),
    "trading_resume_unconfirmed": AlertKind(
        name="trading_resume_unconfirmed",
        title="trading may have RESUMED",
        summary="An operator ended a halt, and the database did not confirm it. Trading may have resumed already.",
        action="See whether it does: python -m runtime trading status. Repeat it until it is answered.",
        identity_fields=("account",),
    ),
    "trading_resumed": AlertKind(
        name="trading_resumed",
        title="trading has RESUMED",
        summary="An operator ended a halt of trading. Orders are accepted again, and what waited is sent.",
        action="Nothing. Who and why: python -m runtime trading status --all.",
        identity_fields=("halt_id",),
        shown_fields=("halt_id",),
    ),
    "stream_lost": AlertKind(
        name="stream_down",
        title="the exchange's stream is down",
        summary="The execution stream cannot be followed for a while. Fills are not seen live.",
        action="See why in the log event stream_lost. Ingest reconnects by itself and catches up what was missed.",
        sustained=True,
        ended_by=("stream_connected", "leadership_lost", "standing_by"),
    ),
    "catch_up_failed": AlertKind(
        name="catch_up_failing",
        title="catching up fails",
        summary="The exchange's list of fills or of open orders could not be read or recorded for a while. What the "
        "stream missed stays missed.",
        action="See why in the log event catch_up_failed. Ingest tries again until it works.",
        sustained=True,
        ended_by=("catch_up_recovered", "leadership_lost", "standing_by"),
    ),
    "loop_failing": AlertKind(
        name="loop_failing",
        title="a loop of a worker fails",
        summary="A loop that repairs others (sweep, reconcile) has failed for a while.",
        action="See why in the log event loop_failing. The worker tries again until it works.",
        identity_fields=("loop",),
        shown_fields=("loop",),
        sustained=True,
        ended_by=("loop_recovered",),
    ),
    "clock_skewed": AlertKind(
        name="clock_skew",
        title="a clock differs from the exchange's",
        summary="The clock of a host differs from the exchange's by more than ALERT_CLOCK_SKEW_SECONDS. Catching up "
        "goes by the exchange's own times; what people see as the time of a change is wrong.",
        action="Set the clock of the host that sent this, by NTP. See fillwire_clock_skew_seconds of each process.",
    ),
    "message_refused": AlertKind(
        name="message_refused",
        title="forged message in Redis",
        summary="A message on a channel of Fillwire was not signed by this installation, and was ignored: another "
        "party can write to Redis, or the processes do not have the same BROADCAST_KEY.",
        action="Compare BROADCAST_KEY of all processes. If it is the same, find out who writes to Redis, and give each "
        "process a login of its own (deploy/redis). `unsigned` also comes from processes of an older release.",
        identity_fields=("cause",),
        shown_fields=("cause",),
    ),
    "job_refused": AlertKind(
        name="job_refused",
        title="forged job in Redis",
        summary="An entry of the job queue was not written by Fillwire, and was deleted: "
        "another party can write to Redis.",
        action="Find out who writes to Redis, and give each process its own login (deploy/redis).",
    ),
    "dead_letter": AlertKind(
        name="dead_letter",
        title="dead letter",
        summary="The exchange sent what could not be understood or recorded. Nothing else was held up.",
        action="Read the raw message in the table dead_letters.",
        identity_fields=("error",),
    ),
    "dead_letter_lost": AlertKind(
        name="dead_letter_lost",
        title="dead letter that could not be stored",
        summary="The exchange sent what could not be understood, and the database did not take it.",
        action="Read the raw message in the log event dead_letter_lost.",
        identity_fields=("error",),
    ),
    "audit_trail_broken": AlertKind(
        name="audit_trail_broken",
        title="the audit trail is broken",
        summary="Stored changes of an account are missing, or end before what was sealed. Rows were removed from the "
        "database, and nothing more of the account is sealed.",
        action="Run fillwire audit verify with the heads that were exported last, and see who wrote to the database.",
        identity_fields=("account",),
    ),
    "venue_row_unreadable": AlertKind(
        name="venue_row_unreadable",
        title="unreadable row in the exchange's list",
        summary="An order of ours in the exchange's answers could not be read and was left out.",
        action="Look up row_id of the log event venue_row_unreadable at the exchange.",
        identity_fields=("row_id",),
    ),
}
