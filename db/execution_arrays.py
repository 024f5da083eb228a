"""Executions as columns of array literals, for `db.write_statement`."""

from collections.abc import Sequence
from typing import NamedTuple

from db.array_literals import moment_array, plain_array, text_array
from domain.model.executions import Execution
from domain.model.order import Order


class ExecutionNames(NamedTuple):
    """The columns that only some have, as amended ones and second ids do, in the statement's order."""

    amends: str
    repeats: str
    amended_at: str
    venue_order_ids: str


def execution_names(executions: Sequence[Execution]) -> ExecutionNames:
    """Return these columns."""
    return ExecutionNames(
        amends=text_array([execution.amends for execution in executions]),
        repeats=text_array([execution.repeats for execution in executions]),
        # As arrays' texts: arrays of arrays cannot be unnested by one level.
        amended_at=text_array(
            [moment_array(execution.amended_at) if execution.amended_at else None for execution in executions]
        ),
        venue_order_ids=text_array([execution.venue_order_id for execution in executions]),
    )


def execution_columns(executed: Sequence[tuple[Order, Execution]]) -> Sequence[str]:
    """Return the columns of executions, each with its order, in the statement's order."""
    orders, executions = [order for order, _ in executed], [execution for _, execution in executed]
    fills = [execution.filled for execution in executions]
    corrections = [execution.correction for execution in executions]
    return (
        plain_array([execution.id.hex for execution in executions]),
        plain_array([order.id.hex for order in orders]),
        plain_array([execution.cumulative_quantity for execution in executions]),
        plain_array([fill and fill.quantity for fill in fills]),
        plain_array([fill and fill.price for fill in fills]),
        plain_array([correction and correction.trade.quantity for correction in corrections]),
        plain_array([correction and correction.trade.price for correction in corrections]),
        moment_array([None if correction is None else correction.corrected_at for correction in corrections]),
        plain_array([execution.is_busted for execution in executions]),
        moment_array([execution.executed_at for execution in executions]),
        moment_array([execution.received_at for execution in executions]),
        text_array([order.account_id for order in orders]),
        text_array([execution.venue_execution_id for execution in executions]),
    )
