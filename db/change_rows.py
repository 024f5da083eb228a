"""Reading changes: their rows with what they need of their order, for the history and for streams alike."""

from sqlalchemy import Select, select

from db.snapshot_rows import HELD_COLUMNS
from db.tables import order_changes, orders

_CHANGE = order_changes.c
_ORDER = orders.c


def changes() -> Select[tuple[object, ...]]:
    """Select every change, with the terms and placement of its order, as `db.snapshot_rows.change_of` reads it."""
    return select(
        _CHANGE.account_id,
        _CHANGE.sequence,
        _CHANGE.order_id,
        _CHANGE.kind,
        _CHANGE.at,
        _CHANGE.reason_source,
        _CHANGE.reason_code,
        _CHANGE.reason_message,
        _CHANGE.execution_id,
        _CHANGE.execution_quantity,
        _CHANGE.execution_price,
        _CHANGE.version.label("change_version"),
        _CHANGE.status.label("change_status"),
        _CHANGE.filled_quantity.label("change_filled_quantity"),
        _CHANGE.notional.label("change_notional"),
        _CHANGE.venue_order_id.label("change_venue_order_id"),
        _CHANGE.executed_at.label("change_executed_at"),
        _CHANGE.received_at.label("change_received_at"),
        _CHANGE.restatement.label("change_restatement"),
        _CHANGE.placement.label("change_placement"),
        _ORDER.client_order_id,
        _ORDER.isin,
        _ORDER.symbol,
        _ORDER.side,
        _ORDER.type,
        _ORDER.time_in_force,
        _ORDER.quantity,
        _ORDER.limit_price,
        _ORDER.created_at,
        _ORDER.attempts,
        _ORDER.last_attempt_at,
        _ORDER.submit_due_at,
        _ORDER.lease_until,
        _ORDER.last_error,
        _ORDER.venue_counted,
        _ORDER.venue_counted_at,
        _ORDER.successors,
        _ORDER.filled_quantity.label("order_filled_quantity"),
        *HELD_COLUMNS,
    ).join_from(order_changes, orders, (_ORDER.id == _CHANGE.order_id) & (_ORDER.account_id == _CHANGE.account_id))
