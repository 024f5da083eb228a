"""Reading an order's executions as they stood at one of its versions.

A row of executions says what is known now. What counted before an execution was amended stands in the changes: each
has the execution as it counted then. So an execution without a later change is read from its row, and any other from
the last change before. Where the version is the order's newest, no later change is found and only rows are read.
"""

from dataclasses import replace
from uuid import UUID

from sqlalchemy import Select, Uuid, and_, case, literal, select
from sqlalchemy.dialects.postgresql import distinct_on

from db.database import Row
from db.keyset import Keyset
from db.snapshot_rows import execution_view_of
from db.tables import executions, order_changes
from domain.model.changes import ExecutionView

_EXECUTION = executions.c
_CHANGE = order_changes.c
_COUNTS_NOW = and_(~_EXECUTION.is_busted, _EXECUTION.amends.is_(None), _EXECUTION.repeats.is_(None))

BY_EXECUTION_ID: Keyset[UUID] = Keyset(columns=(_EXECUTION.id,), values=lambda key: (literal(key, Uuid),))


def executions_at(order_id: UUID, *, version: int) -> Select[tuple[object, ...]]:
    """Select the executions that counted at that version, as `execution_at` reads them."""
    of_order = select(_CHANGE.execution_id).where(_CHANGE.order_id == order_id, _CHANGE.execution_id.is_not(None))
    later = of_order.where(_CHANGE.version > version).distinct().cte("later")
    then = (
        of_order.where(_CHANGE.version <= version, _CHANGE.execution_id.in_(select(later.c.execution_id)))
        .add_columns(_CHANGE.execution_quantity, _CHANGE.execution_price)
        .ext(distinct_on(_CHANGE.execution_id))
        .order_by(_CHANGE.execution_id, _CHANGE.version.desc())
        .cte("then")
    )
    return (
        select(
            *executions.columns,
            then.c.execution_quantity.label("quantity_then"),
            then.c.execution_price.label("price_then"),
        )
        .select_from(
            executions.outerjoin(later, later.c.execution_id == _EXECUTION.id).outerjoin(
                then, then.c.execution_id == _EXECUTION.id
            )
        )
        .where(
            _EXECUTION.order_id == order_id,
            case((later.c.execution_id.is_(None), _COUNTS_NOW), else_=then.c.execution_quantity > 0),
        )
    )


def execution_at(row: Row) -> ExecutionView:
    """Return the execution of a row of `executions_at`, as it counted at that version."""
    shown = execution_view_of(row)
    if row["quantity_then"] is None:
        return shown
    return replace(shown, quantity=row["quantity_then"], price=row["price_then"])
