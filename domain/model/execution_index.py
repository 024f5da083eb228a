"""Index of an order's executions by the venue's id, and by what else identifies a fill."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from domain.model.executions import Execution, Trade
from domain.model.reports import OrderFilled

SAME_FILL_WITHIN = timedelta(seconds=10)
"""How far apart the times of one fill under two ids may be: the stream and REST may state them differently."""


class ExecutionIndex:
    """The executions of one order; the last one added under an id replaces the one before."""

    def __init__(self, executions: Iterable[Execution]) -> None:
        self._by_id: dict[str, Execution] = {}
        self._times_by_fill = defaultdict[tuple[Decimal, Trade], dict[str, datetime]](dict)
        for execution in executions:
            self.add(execution)

    def add(self, execution: Execution) -> None:
        """Add the execution, or replace the one with its id."""
        self._by_id[execution.venue_execution_id] = execution
        if execution.cumulative_quantity is not None and execution.filled is not None:
            key = (execution.cumulative_quantity, execution.filled)
            self._times_by_fill[key][execution.venue_execution_id] = execution.executed_at

    def get(self, venue_execution_id: str) -> Execution | None:
        """Return the execution with the venue's id, or None."""
        return self._by_id.get(venue_execution_id)

    def find(self, report: OrderFilled) -> Execution | None:
        """Return the execution with the report's id, or with its cumulative quantity, trade and time, or None.

        A venue may give one fill two ids. The cumulative quantity does not identify it, not even with the trade: after
        a bust or a correction the venue reaches the same one again, perhaps by an equal trade.
        """
        execution = self._by_id.get(report.venue_execution_id)
        if execution is not None or report.cumulative_quantity is None:
            return execution
        times = self._times_by_fill.get((report.cumulative_quantity, report.trade), {})
        return next((self._by_id[name] for name, at in times.items() if abs(at - report.at) <= SAME_FILL_WITHIN), None)
