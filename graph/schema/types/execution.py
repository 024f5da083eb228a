"""An execution as clients see it."""

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
    """The execution as clients see it."""
    return Execution(
        id=execution_node_id(execution.id),
        quantity=execution.quantity,
        price=execution.price,
        executed_at=execution.executed_at,
        received_at=execution.received_at,
    )
