"""Executions as columns of array literals, for `db.write_statement`."""

from collections.abc import Sequence
from typing import NamedTuple

from db.array_literals import moment_array, plain_array, text_array
from domain.model.executions import Execution
from domain.model.order import Order


class ExecutionColumns(NamedTuple):
    """The columns of executions, in the statement's order."""

    ids: str
    order_ids: str
    cumulative_quantities: str
    fill_quantities: str
    fill_prices: str
    correction_quantities: str
    correction_prices: str
    corrected_at: str
    are_busted: str
    executed_at: str
    received_at: str
    account_ids: str
    venue_execution_ids: str


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


def execution_columns(executed: Sequence[tuple[Order, Execution]]) -> ExecutionColumns:
    """Return the columns of executions, each with its order."""
    orders, executions = [order for order, _ in executed], [execution for _, execution in executed]
    fills = [execution.filled for execution in executions]
    corrections = [execution.correction for execution in executions]
    return ExecutionColumns(
        ids=plain_array([execution.id.hex for execution in executions]),
        order_ids=plain_array([order.id.hex for order in orders]),
        cumulative_quantities=plain_array([execution.cumulative_quantity for execution in executions]),
        fill_quantities=plain_array([fill and fill.quantity for fill in fills]),
        fill_prices=plain_array([fill and fill.price for fill in fills]),
        correction_quantities=plain_array([correction and correction.trade.quantity for correction in corrections]),
        correction_prices=plain_array([correction and correction.trade.price for correction in corrections]),
        corrected_at=moment_array(
            [None if correction is None else correction.corrected_at for correction in corrections]
        ),
        are_busted=plain_array([execution.is_busted for execution in executions]),
        executed_at=moment_array([execution.executed_at for execution in executions]),
        received_at=moment_array([execution.received_at for execution in executions]),
        account_ids=text_array([order.account_id for order in orders]),
        venue_execution_ids=text_array([execution.venue_execution_id for execution in executions]),
    )
