"""Index of an order's executions by the venue's id, and by what else identifies a fill."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from domain.model.executions import Execution, Trade
from domain.model.reports import ExecutionBooked, OrderFilled

SAME_FILL_WITHIN = timedelta(seconds=10)
"""How far apart the times of one fill under two ids may be: the stream and REST may state them differently."""

BOOKED_FILL_WITHIN = timedelta(seconds=60)
"""How far from the venue's time the time of a booked execution may be: statements for people often show minutes."""


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

    def booking_of(self, venue_execution_id: str, *, filled: OrderFilled | None) -> Execution | None:
        """Return the open booking of an execution that the venue names for the first time, or None.

        One that names the venue's id is of that id alone; another one is recognised by the trade and its time.
        """
        open_bookings = [one for one in self._by_id.values() if one.is_open_booking]
        named = next((one for one in open_bookings if one.booked_as == venue_execution_id), None)
        if named is not None or filled is None:
            return named
        alike = (one for one in open_bookings if one.booked_as is None and _is_alike(one, filled.trade, filled.at))
        return min(alike, key=lambda one: one.id, default=None)

    def recorded_like(self, booked: ExecutionBooked) -> Execution | None:
        """Return a known execution that the booking may be about, or None.

        Of two equal trades at one time the venue's id tells which one is meant.
        """
        name = booked.venue_execution_id
        # One that was booked and taken back may be booked again; one that the venue busted has been, and is no more.
        for one in (one for one in self._by_id.values() if not one.is_booked_no_more):
            if name is not None and name in (one.venue_execution_id, one.booked_as):
                return one
            is_another = name is not None and (one.booked_as is not None or not one.is_booked)
            # Two bookings may both miss the venue's time, one on each side.
            within = 2 * BOOKED_FILL_WITHIN if one.is_booked else BOOKED_FILL_WITHIN
            if not is_another and _is_alike(one, booked.trade, booked.at, within=within):
                return one
        return None


def _is_alike(execution: Execution, trade: Trade, at: datetime, *, within: timedelta = BOOKED_FILL_WITHIN) -> bool:
    return execution.filled == trade and abs(execution.executed_at - at) <= within
