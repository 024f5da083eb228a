"""One change of an order, and the reason of a status, in public form."""

from datetime import datetime
from decimal import Decimal

import strawberry

from domain.model.changes import RecordedChange
from domain.model.values import Reason
from graph.schema.enums import ChangeKind, OrderStatus, ReasonSource
from graph.schema.types.execution import Execution, execution_from


@strawberry.type
class OrderReason:
    code: str
    message: str
    source: ReasonSource


@strawberry.type(description="One change of one order, with the order as it stood right after it.")
class OrderChange:
    kind: ChangeKind
    version: int
    at: datetime
    status: OrderStatus
    filled_quantity: Decimal
    average_price: Decimal | None
    execution: Execution | None
    reason: OrderReason | None


def reason_from(reason: Reason | None) -> OrderReason | None:
    """Return the reason in public form."""
    return None if reason is None else OrderReason(code=reason.code, message=reason.message, source=reason.source)


def change_from(change: RecordedChange) -> OrderChange:
    """Return the change in public form."""
    return OrderChange(
        kind=change.kind,
        version=change.order.version,
        at=change.at,
        status=change.order.status,
        filled_quantity=change.order.filled_quantity,
        average_price=change.order.average_price,
        execution=None if change.execution is None else execution_from(change.execution),
        reason=reason_from(change.order.reason),
    )
