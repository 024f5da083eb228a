"""Rows and the domain's values: what stands in which column, both ways. The only place that knows both."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Text, literal_column

from db.columns import CODE_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS, MOMENT, storable
from db.database import Row
from db.tables import orders
from domain.changes import ChangeKind, ExecutionView, OrderSnapshot, PlacementState, RecordedChange, snapshot, view
from domain.executions import Correction, Execution, Trade
from domain.order import CancelRequests, End, Facts, Order, OrderStatus, PlacingPhase, VenueRank
from domain.ports.order_store import LoadedOrder
from domain.values import OrderType, Reason, ReasonSource, Side, Terms, TimeInForce

UNNAMED = "UNNAMED"
"""A reason's code when the venue gives an empty one."""

# Looking a member up costs a fifth of calling its enum, and a page has hundreds.
_SIDES = {side.value: side for side in Side}
_TYPES = {type_.value: type_ for type_ in OrderType}
_TIMES_IN_FORCE = {time_in_force.value: time_in_force for time_in_force in TimeInForce}
_PHASES = {phase.value: phase for phase in PlacingPhase}
_RANKS = {rank.value: rank for rank in VenueRank}
_NO_ENDS = frozenset[End]()

ORDER_COLUMN_NAMES = ", ".join(f"o.{column.name}" for column in orders.columns)
"""Every column of orders, for a statement in SQL that calls the table `o`."""

_SHUT = "FROM venue_gates AS g WHERE greatest(g.paused_until, g.probe_at) > now()"
_HELD_UNTIL = f"(SELECT max(greatest(g.paused_until, g.probe_at)) {_SHUT})"
_HELD_REASON = f"(SELECT max(g.reason) {_SHUT})"
_HALTED_AT = (
    "(SELECT min(h.halted_at) FROM trading_halts AS h "
    "WHERE h.resumed_at IS NULL AND (h.account_id = '' OR h.account_id = {orders}.account_id))"
)
HELD_COLUMN_NAMES = (
    f"{_HELD_UNTIL} AS held_until, {_HELD_REASON} AS held_reason, {_HALTED_AT.format(orders='o')} AS halted_at"
)
"""Until when a gate lets nothing be claimed, and why; NULL when none is shut. Orders name no venue: there is one. And
since when trading is halted for the order's account; NULL when it is not."""

HELD_COLUMNS = (
    literal_column(_HELD_UNTIL, MOMENT).label("held_until"),
    literal_column(_HELD_REASON, Text).label("held_reason"),
    literal_column(_HALTED_AT.format(orders="orders"), MOMENT).label("halted_at"),
)
"""The same for SQLAlchemy Core."""


def terms_of(row: Row) -> Terms:
    """What the client asked for, from a row of orders."""
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
    """The order of a row of orders."""
    return Order(
        id=row["id"],
        account_id=row["account_id"],
        terms=terms_of(row),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row["version"],
        facts=_facts_of(row),
    )


def loaded_order_of(
    row: Row, *, executions: tuple[Execution, ...] = (), filled_up_to: Decimal | None = None
) -> LoadedOrder:
    """The order with its placing, from a row of orders."""
    return LoadedOrder(
        order=order_of(row),
        executions=executions,
        attempt=row["attempt"],
        attempts=row["attempts"],
        maybe_sent_at=row["maybe_sent_at"],
        lease_until=row["lease_until"],
        filled_up_to=filled_up_to,
    )


def placement_of(row: Row) -> PlacementState:
    """How placing goes, from a row of orders. While an attempt is under way no next one is planned."""
    return PlacementState(
        attempts=row["attempts"],
        last_attempt_at=row["last_attempt_at"],
        next_attempt_at=row["place_due_at"] if row["lease_until"] is None else None,
        last_error=row["last_error"],
    )


def held_placement_of(row: Row) -> PlacementState:
    """The same from a row that was read with HELD_COLUMNS: no attempt comes before a gate opens, none in a halt."""
    placement = placement_of(row)
    if placement.next_attempt_at is None:
        return placement
    if row["halted_at"] is not None:
        halted = f"Trading has been halted since {row['halted_at']:%Y-%m-%dT%H:%M:%SZ}: not sent before it is resumed."
        return replace(placement, next_attempt_at=None, last_error=halted)
    if row["held_until"] is None:
        return placement
    return replace(
        placement,
        next_attempt_at=max(placement.next_attempt_at, row["held_until"]),
        last_error=placement.last_error or row["held_reason"],
    )


def snapshot_of(row: Row) -> OrderSnapshot:
    """The order as people see it, from a row of orders with HELD_COLUMNS."""
    return snapshot(order_of(row), placement=held_placement_of(row))


def execution_of(row: Row) -> Execution:
    """The execution of a row of executions."""
    return Execution(
        id=row["id"],
        venue_execution_id=row["venue_execution_id"],
        cumulative_quantity=row["cumulative_quantity"],
        filled=_trade(row["fill_quantity"], price=row["fill_price"]),
        correction=_correction_of(row),
        is_busted=row["is_busted"],
        executed_at=row["executed_at"],
        received_at=row["received_at"],
    )


def execution_view_of(row: Row) -> ExecutionView:
    """The execution as people see it, from a row of executions."""
    return view(execution_of(row))


def change_of(row: Row) -> RecordedChange:
    """The change of a row of order_changes, joined with its order for the terms and for how placing goes (now)."""
    order = OrderSnapshot(
        id=row["order_id"],
        account_id=row["account_id"],
        terms=terms_of(row),
        status=OrderStatus(row["change_status"]),
        filled_quantity=row["change_filled_quantity"],
        notional=row["change_notional"],
        reason=_change_reason_of(row),
        venue_order_id=row["change_venue_order_id"],
        placement=held_placement_of(row),
        version=row["change_version"],
        created_at=row["created_at"],
        updated_at=row["at"],
    )
    return RecordedChange(
        sequence=row["sequence"],
        kind=ChangeKind(row["kind"]),
        at=row["at"],
        order=order,
        execution=_change_execution_of(row),
    )


def storable_reason(reason: Reason) -> Reason:
    """The reason as it can be kept: a venue may send any text."""
    return Reason(
        source=reason.source,
        code=storable(reason.code, max_characters=CODE_MAX_CHARACTERS) or UNNAMED,
        message=storable(reason.message, max_characters=MESSAGE_MAX_CHARACTERS),
    )


def reasons_as_json(reasons: Mapping[Any, Reason]) -> str:
    """Reasons by the name of their end or phase, as they are stored."""
    if not reasons:
        return "{}"
    return orjson.dumps({key.name: storable_reason(reason) for key, reason in reasons.items()}).decode()


def _facts_of(row: Row) -> Facts:
    cancel = CancelRequests(
        asked=row["cancel_asked"],
        sent=row["cancel_sent"],
        refused=row["cancel_refused"],
        refused_at=row["cancel_refused_at"],
    )
    return Facts(
        phase=_PHASES[row["phase"]],
        rank=_RANKS[row["rank"]],
        venue_order_id=row["venue_order_id"],
        filled_quantity=row["filled_quantity"],
        notional=row["notional"],
        ends=frozenset(End(end) for end in row["ends"]) if row["ends"] else _NO_ENDS,
        cancel=cancel,
        end_reasons={End[name]: reason for name, reason in _reasons_of(row["end_reasons"]).items()},
        phase_reasons={PlacingPhase[name]: reason for name, reason in _reasons_of(row["phase_reasons"]).items()},
    )


def _reasons_of(stored: Mapping[str, Mapping[str, str]]) -> Mapping[str, Reason]:
    if not stored:
        return {}
    return {
        name: Reason(source=ReasonSource(reason["source"]), code=reason["code"], message=reason["message"])
        for name, reason in stored.items()
    }


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


def _change_reason_of(row: Row) -> Reason | None:
    if row["reason_source"] is None:
        return None
    return Reason(source=ReasonSource(row["reason_source"]), code=row["reason_code"], message=row["reason_message"])


def _change_execution_of(row: Row) -> ExecutionView | None:
    if row["execution_id"] is None:
        return None
    return ExecutionView(
        id=row["execution_id"],
        quantity=row["execution_quantity"],
        price=row["execution_price"],
        executed_at=row["change_executed_at"],
        received_at=row["change_received_at"],
    )
