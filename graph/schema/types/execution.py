"""An execution in public form."""

from datetime import datetime
from decimal import Decimal

import strawberry

from domain.model.changes import ExecutionView
from graph.schema.global_ids import execution_node_id
from graph.schema.types.node import Node


@strawberry.type
class Execution(Node):
    quantity: Decimal
    price: Decimal
    executed_at: datetime
    received_at: datetime


def execution_from(execution: ExecutionView) -> Execution:
    """Return the execution in public form."""
    return Execution(
        id=execution_node_id(execution.id),
        quantity=execution.quantity,
        price=execution.price,
        executed_at=execution.executed_at,
        received_at=execution.received_at,
    )
