"""Index of an order's executions by the venue's id, and by what else identifies a fill."""

from collections.abc import Iterable
from decimal import Decimal

from domain.model.executions import Execution, Trade
from domain.model.reports import OrderFilled


class ExecutionIndex:
    """The executions of one order; the last one added under an id replaces the one before."""

    def __init__(self, executions: Iterable[Execution]) -> None:
        self._by_id: dict[str, Execution] = {}
        self._ids_by_fill: dict[tuple[Decimal, Trade], str] = {}
        for execution in executions:
            self.add(execution)

    def add(self, execution: Execution) -> None:
        """Add the execution, or replace the one with its id."""
        self._by_id[execution.venue_execution_id] = execution
        if execution.cumulative_quantity is not None and execution.filled is not None:
            key = (execution.cumulative_quantity, execution.filled)
            self._ids_by_fill[key] = execution.venue_execution_id

    def get(self, venue_execution_id: str) -> Execution | None:
        """Return the execution with the venue's id, or None."""
        return self._by_id.get(venue_execution_id)

    def find(self, report: OrderFilled) -> Execution | None:
        """Return the execution with the report's id, or with its cumulative quantity and trade, or None.

        A venue may give one fill two ids. The cumulative quantity alone does not identify it: after a bust or a
        correction the venue reaches the same one again.
        """
        execution_id = report.venue_execution_id
        if execution_id not in self._by_id and report.cumulative_quantity is not None:
            execution_id = self._ids_by_fill.get((report.cumulative_quantity, report.trade), execution_id)
        return self._by_id.get(execution_id)
