"""Conversion between rows and the domain's values.

Only this and `db.snapshot_rows`, which reads what is shown to people, depend on both.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import orjson

from db.database import Row
from db.fact_json import reason_of, reasons_as_json, restatement_of, successors_of
from db.tables import orders
from domain.model.cancel_requests import CancelRequests
from domain.model.changes import PlacementState
from domain.model.executions import Correction, Execution, Trade
from domain.model.operator_end import EndedAs, OperatorEnd
from domain.model.order import End, Facts, Order, SubmissionPhase, VenueCount, VenueRank
from domain.model.values import (
    OrderType,
    Reason,
    Side,
    Terms,
    TimeInForce,
    storable_reason,
)
from domain.ports.order_store import LoadedOrder

Key = TypeVar("Key", End, SubmissionPhase)

OPERATOR_END = "OPERATOR"
"""The key of an operator's end among the reasons of ends: no end of the venue has that name."""

# A look-up of a member costs a fifth of calling its enum, and a page has hundreds.
_SIDES = {side.value: side for side in Side}
_TYPES = {type_.value: type_ for type_ in OrderType}
_TIMES_IN_FORCE = {time_in_force.value: time_in_force for time_in_force in TimeInForce}
_PHASES = {phase.value: phase for phase in SubmissionPhase}
_RANKS = {rank.value: rank for rank in VenueRank}
_NO_ENDS = frozenset[End]()
_NO_REQUESTS = CancelRequests()

ORDER_COLUMN_NAMES = ", ".join(f"o.{column.name}" for column in orders.columns)
"""Every column of orders, for a statement in SQL that calls the table `o`."""


def terms_of(row: Row) -> Terms:
    """Return the client's terms, from a row of orders."""
    return Terms(
        client_order_id=row["client_order_id"],
        isin=row["isin"],
        symbol=row["symbol"],
        side=_SIDES[row["side"]],
        type=_TYPES[row["type"]],
        time_in_force=_TIMES_IN_FORCE[row["time_in_force"]],
        quantity=row["quantity"],
        limit_price=row["limit_price"],
    )


def order_of(row: Row) -> Order:
    """Return the order of a row of orders."""
    return Order(
        id=row["id"],
        account_id=row["account_id"],
        venue_client_order_id=row["venue_client_order_id"],
        terms=terms_of(row),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row["version"],
        facts=facts_of(row),
    )


def facts_of(row: Row) -> Facts:
    """Return the facts of an order, from a row of orders."""
    ends = row["ends"]
    return Facts(
        phase=_PHASES[row["phase"]],
        rank=_RANKS[row["rank"]],
        venue_order_id=row["venue_order_id"],
        filled_quantity=row["filled_quantity"],
        notional=row["notional"],
        ends=frozenset(map(End, ends)) if ends else _NO_ENDS,
        cancel=_cancel_requests_of(row),
        end_reasons=_reasons_of(row["end_reasons"], End),
        operator_end=_operator_end_of(row["end_reasons"]),
        phase_reasons=_reasons_of(row["phase_reasons"], SubmissionPhase),
        count=count_of(row),
        restatement=restatement_of(row["restatement"]),
        successors=successors_of(row["successors"]),
    )


def loaded_order_of(
    row: Row, *, executions: tuple[Execution, ...] = (), filled_up_to: Decimal | None = None
) -> LoadedOrder:
    """Return the order with its placing, from a row of orders."""
    return LoadedOrder(
        order=order_of(row),
        executions=executions,
        attempt=row["attempt"],
        attempts=row["attempts"],
        maybe_sent_at=row["maybe_sent_at"],
        lease_until=row["lease_until"],
        # Of several venue orders each counts by itself.
        filled_up_to=filled_up_to if row["successors"] is None else None,
    )


def placement_of(row: Row) -> PlacementState:
    """Return the state of placing, from a row of orders."""
    return placement(
        attempts=row["attempts"],
        last_attempt_at=row["last_attempt_at"],
        due_at=row["submit_due_at"],
        lease_until=row["lease_until"],
        last_error=row["last_error"],
    )


def placement(
    *,
    attempts: int,
    last_attempt_at: datetime | None,
    due_at: datetime | None,
    lease_until: datetime | None,
    last_error: str | None,
) -> PlacementState:
    """Return the state of placing. While an attempt is running no next one is planned."""
    return PlacementState(
        attempts=attempts,
        last_attempt_at=last_attempt_at,
        next_attempt_at=due_at if lease_until is None else None,
        last_error=last_error,
    )


def execution_of(row: Row) -> Execution:
    """Return the execution of a row of executions."""
    return Execution(
        id=row["id"],
        venue_execution_id=row["venue_execution_id"],
        cumulative_quantity=row["cumulative_quantity"],
        filled=_trade(row["fill_quantity"], price=row["fill_price"]),
        correction=_correction_of(row),
        is_busted=row["is_busted"],
        executed_at=row["executed_at"],
        received_at=row["received_at"],
        amends=row["amends"],
        repeats=row["repeats"],
        amended_at=tuple(row["amended_at"] or ()),
        is_booked=row["is_booked"],
        booked_as=row["booked_as"],
        venue_order_id=row["venue_order_id"],
    )


def ends_as_json(facts: Facts) -> str | None:
    """Why the order ended, as it is stored: the reasons by the name of their end, and an operator's end among them."""
    if facts.operator_end is None:
        return reasons_as_json(facts.end_reasons) if facts.end_reasons else None
    end = facts.operator_end
    stated = {key.name: storable_reason(reason) for key, reason in facts.end_reasons.items()}
    reason = storable_reason(end.reason)
    return orjson.dumps({**stated, OPERATOR_END: {**asdict(end), "reason": reason}}).decode()


def _cancel_requests_of(row: Row) -> CancelRequests:
    asked, sent, refused = row["cancel_asked"], row["cancel_sent"], row["cancel_refused"]
    refused_at = row["cancel_refused_at"]
    # Most orders are never to be canceled.
    if not (asked or sent or refused or refused_at):
        return _NO_REQUESTS
    return CancelRequests(requested=asked, sent=sent, refused=refused, refused_at=refused_at)


def count_of(row: Row) -> VenueCount | None:
    """Return the venue's count of its first order, from a row of orders."""
    at = row["venue_counted_at"]
    return None if at is None else VenueCount(at=at, quantity=row["venue_counted"])


def _reasons_of(stored: Mapping[str, Mapping[str, str]] | None, keys: type[Key]) -> Mapping[Key, Reason]:
    if not stored:
        return {}
    return {keys[name]: reason_of(reason) for name, reason in stored.items() if name != OPERATOR_END}


def _operator_end_of(stored: Mapping[str, Any] | None) -> OperatorEnd | None:
    end = stored.get(OPERATOR_END) if stored else None
    if end is None:
        return None
    return OperatorEnd(
        number=end["number"],
        ended_as=EndedAs(end["ended_as"]),
        reason=reason_of(end["reason"]),
        at=datetime.fromisoformat(end["at"]),
        is_overruled=end["is_overruled"],
    )


def _trade(quantity: Decimal | None, *, price: Decimal | None) -> Trade | None:
    if quantity is None or price is None:
        return None
    return Trade(quantity=quantity, price=price)


def _correction_of(row: Row) -> Correction | None:
    trade = _trade(row["correction_quantity"], price=row["correction_price"])
    corrected_at: datetime | None = row["corrected_at"]
    if trade is None or corrected_at is None:
        return None
    return Correction(trade=trade, corrected_at=corrected_at)
