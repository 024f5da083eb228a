"""Snapshots of orders, views of executions and recorded changes, from rows; and what delays a submission."""

from dataclasses import replace
from decimal import Decimal

from sqlalchemy import Text, literal_column

from db.breaker_store import PAUSED_UNTIL
from db.columns import MOMENT
from db.database import Row
from db.fact_json import placement_of_change, restatement_of, successors_of
from db.order_rows import count_of, execution_of, facts_of, placement_of, terms_of
from db.tables import orders
from domain.model.changes import ChangeKind, ExecutionView, OrderSnapshot, PlacementState, RecordedChange, view
from domain.model.facts import Facts
from domain.model.order import OrderStatus, derive_reason, derive_status
from domain.model.values import Reason, ReasonSource
from domain.model.venue_chain import whole

FIRST_VERSION = 1
_UNSEEN = frozenset(
    {"venue_client_order_id", "status", "attempt", "maybe_sent_at", "cancel_due_at", "is_open_at_venue"}
)
# Most orders have no value in these; decoding a missing value costs the driver more than all the names of an order.
_MOSTLY_EMPTY = frozenset({"ends", "end_reasons", "phase_reasons"})


def _shown(column: str) -> str:
    return f"nullif(o.{column}, '{{}}') AS {column}" if column in _MOSTLY_EMPTY else f"o.{column}"


_BLOCKED = f"FROM venue_gates AS g WHERE greatest({PAUSED_UNTIL}, g.probe_at) > now()"
_HELD_UNTIL = f"(SELECT max(greatest({PAUSED_UNTIL}, g.probe_at)) {_BLOCKED})"
_HELD_REASON = f"(SELECT max(g.reason) {_BLOCKED})"
_HALTED_AT = (
    "(SELECT min(h.halted_at) FROM trading_halts AS h "
    "WHERE h.resumed_at IS NULL AND (h.account_id = '' OR h.account_id = {account_id}))"
)
HELD_COLUMNS = (
    literal_column(_HELD_UNTIL, MOMENT).label("held_until"),
    literal_column(_HELD_REASON, Text).label("held_reason"),
    literal_column(_HALTED_AT.format(account_id="orders.account_id"), MOMENT).label("halted_at"),
)
"""Until when the circuit breaker blocks claims, and why; NULL when it does not. Orders name no venue: there is one. And
since when trading is halted for the order's account; NULL when it is not. For SQLAlchemy Core."""


def shown_column_names(*, account_id: str = "o.account_id") -> str:
    """Return the columns for `snapshot_of`, for a statement in SQL that calls the table of orders `o`.

    Where all rows are of one account, its parameter as `account_id` looks up halts once and not for every row.
    """
    shown = ", ".join(_shown(column.name) for column in orders.columns if column.name not in _UNSEEN)
    halted_at = _HALTED_AT.format(account_id=account_id)
    return f"{shown}, {_HELD_UNTIL} AS held_until, {_HELD_REASON} AS held_reason, {halted_at} AS halted_at"


def snapshot_of(row: Row) -> OrderSnapshot:
    """Return the order as shown to people, from a row of orders with HELD_COLUMNS.

    The result of `domain.model.changes.snapshot` without building the order: a page has a hundred of them.
    """
    terms, facts = terms_of(row), whole(facts_of(row))
    restatement = facts.restatement
    quantity = terms.quantity if restatement is None else restatement.quantity
    status = derive_status(facts, quantity=quantity)
    return OrderSnapshot(
        id=row["id"],
        account_id=row["account_id"],
        terms=terms,
        status=status,
        filled_quantity=facts.filled_quantity,
        notional=facts.notional,
        reason=derive_reason(facts, status=status),
        venue_order_id=facts.venue_order_id,
        placement=held_placement_of(row),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        venue_filled_quantity=None if facts.count is None else facts.count.quantity,
        restatement=restatement,
    )


def held_placement_of(row: Row) -> PlacementState:
    """Return the placement from a row with HELD_COLUMNS: no attempt while the breaker blocks or trading is halted."""
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


def execution_view_of(row: Row) -> ExecutionView:
    """Return the execution as shown to people, from a row of executions."""
    return view(execution_of(row))


def change_of(row: Row) -> RecordedChange:
    """Return the change of a row of order_changes, joined with its order for the terms and the placement."""
    order = OrderSnapshot(
        id=row["order_id"],
        account_id=row["account_id"],
        terms=terms_of(row),
        status=OrderStatus(row["change_status"]),
        filled_quantity=row["change_filled_quantity"],
        notional=row["change_notional"],
        reason=_change_reason_of(row),
        venue_order_id=row["change_venue_order_id"],
        placement=_change_placement_of(row),
        version=row["change_version"],
        created_at=row["created_at"],
        updated_at=row["at"],
        venue_filled_quantity=_counted_of(row),
        restatement=restatement_of(row["change_restatement"]),
    )
    return RecordedChange(
        sequence=row["sequence"],
        kind=ChangeKind(row["kind"]),
        at=row["at"],
        order=order,
        execution=_change_execution_of(row),
    )


def _change_placement_of(row: Row) -> PlacementState:
    """Return how placing stood at a change: at the first one nothing had been tried, and once the venue has the order
    nothing is tried any more. In between it is stored with the change (not by the release before)."""
    if row["change_version"] == FIRST_VERSION:
        return PlacementState(next_attempt_at=row["created_at"])
    stored = row["change_placement"]
    return held_placement_of(row) if stored is None else placement_of_change(stored)


def _counted_of(row: Row) -> Decimal | None:
    if row["successors"] is None:
        counted: Decimal | None = row["venue_counted"]
        return counted
    facts = Facts(
        filled_quantity=row["order_filled_quantity"], count=count_of(row), successors=successors_of(row["successors"])
    )
    count = whole(facts).count
    return None if count is None else count.quantity


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
