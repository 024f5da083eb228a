"""What `fillwire orders show` prints: everything that is stored about an order, and what the venue answers now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import orjson

from db.database import Database, Row
from db.order_rows import facts_of
from domain.model.operator_actions import moment_text
from domain.model.values import format_decimal
from domain.services.venue_answers import ShownAnswer
from runtime.observability.printable import printable

LETTERS_MAX = 20
COLUMN_CHARACTERS = 50
CHANGES_MAX = 500
ORDER = "SELECT o.* FROM orders AS o WHERE o.id = $1"
EXECUTIONS = "SELECT e.* FROM executions AS e WHERE e.order_id = $1 ORDER BY e.executed_at, e.id"
CHANGES = """
SELECT c.version, c.at, c.kind, c.status, c.filled_quantity, c.reason_source, c.reason_code, c.reason_message,
    c.execution_id
FROM order_changes AS c WHERE c.order_id = $1 ORDER BY c.version DESC LIMIT $2
"""
# Raw messages that could not be recorded: they are searched for the order's names, newest first.
LETTERS = """
SELECT d.source, d.error, d.count, d.first_at, d.last_at, encode(d.raw, 'escape') AS raw
FROM dead_letters AS d
WHERE position(convert_to($1, 'UTF8') IN d.raw) > 0
    OR ($2::text IS NOT NULL AND position(convert_to($2::text, 'UTF8') IN d.raw) > 0)
ORDER BY d.last_at DESC LIMIT $3
"""
ACTIONS = """
SELECT a.at, a.actor, a.action, a.reason, a.before, a.after FROM operator_actions AS a
WHERE a.order_id = $1 ORDER BY a.sequence
"""
REQUESTS = """
SELECT r.asked_at, r.actor, r.action, r.arguments, r.reason, r.done_at, r.refusal FROM resolutions AS r
WHERE r.order_id = $1 AND r.action <> 'VENUE_ASKED' ORDER BY r.asked_at
"""
TERMS = ("account_id", "client_order_id", "isin", "symbol", "side", "type", "time_in_force", "quantity", "limit_price")
ATTEMPTS = (
    *("attempt", "attempts", "last_attempt_at", "maybe_sent_at", "lease_until", "submit_due_at", "last_error"),
    *("cancel_due_at",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """Everything about an order; rows as they are stored."""

    order: Row
    executions: Sequence[Row]
    changes: Sequence[Row]
    letters: Sequence[Row]
    actions: Sequence[Row]
    requests: Sequence[Row]


async def read_report(database: Database, order_id: UUID) -> OrderReport | None:
    """Read an order with everything about it; None when there is none."""
    rows = await database.fetch(ORDER, order_id)
    if not rows:
        return None
    order = rows[0]
    names = (order["venue_client_order_id"], order["venue_order_id"])
    return OrderReport(
        order=order,
        executions=await database.fetch(EXECUTIONS, order_id),
        changes=list(reversed(await database.fetch(CHANGES, order_id, CHANGES_MAX))),
        letters=await database.fetch(LETTERS, *names, LETTERS_MAX),
        actions=await database.fetch(ACTIONS, order_id),
        requests=await database.fetch(REQUESTS, order_id),
    )


def as_json(report: OrderReport, answer: ShownAnswer | None, *, no_answer: str | None) -> str:
    """Return the report as one JSON object: the columns as they are called in the database."""
    return orjson.dumps(
        {
            "order": _plain(report.order),
            "executions": [{**_plain(row), "execution": _execution_id(row)} for row in report.executions],
            "changes": [_plain(row) for row in report.changes],
            "dead_letters": [_plain(row) for row in report.letters],
            "operator_actions": [_plain(row) for row in report.actions],
            "requests": [_plain(row) for row in report.requests],
            "venue_answer": {"outcome": "NO_ANSWER", "error": no_answer} if answer is None else _answer(answer),
        },
        option=orjson.OPT_INDENT_2,
    ).decode()


def as_lines(report: OrderReport, answer: ShownAnswer | None, *, no_answer: str | None) -> Iterable[str]:
    """Return the report for people. Texts that the venue chose neither begin a line nor command the terminal."""
    return map(printable, _lines(report, answer, no_answer=no_answer))


def _lines(report: OrderReport, answer: ShownAnswer | None, *, no_answer: str | None) -> Iterable[str]:
    order = report.order
    yield f"ord_{order['id'].hex}  {order['status']}, version {order['version']}, changed {_text(order['updated_at'])}"
    yield from _titled("Asked for", [_pairs(order, TERMS)])
    yield from _titled(f"{'Here':<{COLUMN_CHARACTERS + 2}}| At the venue now", _side_by_side(order, answer, no_answer))
    yield from _titled("Attempts", [_pairs(order, ATTEMPTS)])
    yield from _titled("Executions", [_execution_line(row) for row in report.executions])
    yield from _titled("Changes", [_change_line(row) for row in report.changes])
    yield from _titled(
        "Messages that could not be recorded", [line for row in report.letters for line in _letter_lines(row)]
    )
    yield from _titled("What operators did", [_action_line(row) for row in report.actions])
    yield from _titled("What was refused, or waits", [_request_line(row) for row in report.requests if _is_open(row)])


def _titled(title: str, lines: Iterable[str]) -> Iterable[str]:
    yield ""
    yield title
    yield from (f"  {line}" for line in list(lines) or ["none"])


def _side_by_side(order: Row, answer: ShownAnswer | None, no_answer: str | None) -> Iterable[str]:
    venue: Mapping[str, Any] = orjson.loads(answer.order) if answer is not None and answer.order is not None else {}
    outcome = f"NO_ANSWER: {no_answer}" if answer is None else f"{answer.outcome}{_because(answer)}"
    facts = facts_of(order)
    ends = [*sorted(facts.ends), *([f"{end.ended_as} by an operator"] if (end := facts.operator_end_in_force) else [])]
    here_and_there = [
        (f"status {order['status']}", f"{outcome}, asked {_text(answer.asked_at)}" if answer else outcome),
        (f"venue id {_text(order['venue_order_id'])}", f"venue id {_text(venue.get('venueOrderId'))}"),
        (f"filled {_text(order['filled_quantity'])}", f"filled {_text(venue.get('filledQuantity'))}"),
        (f"open at venue {_text(order['is_open_at_venue'])}", f"open {_text(venue.get('isOpen'))}"),
        (f"submitting: {facts.phase.name}, seen at venue: {facts.rank.name}", ""),
        (f"ends {', '.join(ends) or '-'}", f"says {'; '.join(venue.get('says', [])) or '-'}"),
    ]
    yield from (f"{here:<{COLUMN_CHARACTERS}}| {there}" for here, there in here_and_there)
    yield f"name at the venue: {order['venue_client_order_id']}"
    yield from (
        f"venue order {name} replaced {one.replaces}: filled {_text(one.facts.filled_quantity)}, "
        f"ends {', '.join(sorted(one.facts.ends)) or '-'}"
        for name, one in facts.successors.items()
    )


def _because(answer: ShownAnswer) -> str:
    return f": {answer.error}" if answer.error else ""


def _pairs(row: Row, names: Iterable[str]) -> str:
    return ", ".join(f"{name} {_text(row[name])}" for name in names if row[name] is not None)


def _execution_line(row: Row) -> str:
    source = "booked by an operator" if row["is_booked"] else f"venue's {row['venue_execution_id']}"
    if row["booked_as"] is not None:
        source += f" as {row['booked_as']}"
    corrected = ""
    if row["corrected_at"] is not None:
        corrected = f", corrected to {_text(row['correction_quantity'])} @ {_text(row['correction_price'])}"
    busted = ", BUSTED" if row["is_busted"] else ""
    trade = f"{_text(row['fill_quantity'])} @ {_text(row['fill_price'])}"
    return f"{_execution_id(row)}  {trade}, {_text(row['executed_at'])}, {source}{corrected}{busted}"


def _change_line(row: Row) -> str:
    reason = "" if row["reason_source"] is None else f"  {row['reason_source']} {row['reason_code']}: "
    told = f"{reason}{row['reason_message'] or ''}"
    filled = f"filled {_text(row['filled_quantity'])}"
    return f"{row['version']:>4}  {_text(row['at'])}  {row['kind']:<18} {row['status']:<16} {filled}{told}"


def _letter_lines(row: Row) -> Iterable[str]:
    yield f"{_text(row['last_at'])}  {row['source']}, {row['count']} times: {row['error']}"
    yield f"    {row['raw'][:2000]}"


def _action_line(row: Row) -> str:
    return f"{_text(row['at'])}  {row['action']} by {row['actor']} ({row['reason']}): {row['before']} → {row['after']}"


def _request_line(row: Row) -> str:
    state = "waits for a worker" if row["done_at"] is None else f"refused: {row['refusal']}"
    return f"{_text(row['asked_at'])}  {row['action']} {row['arguments']} by {row['actor']} ({row['reason']}): {state}"


def _is_open(row: Row) -> bool:
    return row["done_at"] is None or row["refusal"] is not None


def _execution_id(row: Row) -> str:
    return f"exe_{row['id'].hex}"


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case Decimal():
            return format_decimal(value)
        case datetime():
            return moment_text(value)
        case bool():
            return "yes" if value else "no"
    return str(value)


def _plain(row: Row) -> dict[str, object]:
    columns = dict(cast("Mapping[str, object]", row))  # asyncpg's rows are mappings.
    return {name: _plain_value(value) for name, value in columns.items()}


def _plain_value(value: object) -> object:
    return _text(value) if isinstance(value, Decimal | datetime) else str(value) if isinstance(value, UUID) else value


def _answer(answer: ShownAnswer) -> dict[str, object]:
    return {
        "outcome": answer.outcome,
        "asked_at": moment_text(answer.asked_at),
        "order": None if answer.order is None else orjson.loads(answer.order),
        "error": answer.error,
    }
