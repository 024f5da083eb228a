"""Cache of the orders that were written last, so that the next report about one of them needs no read.

A cached order may be outdated: another process may have written it since. The statement that writes compares every
order's version and detects that; then the orders are removed from the cache and read.

The stored executions are not cached. A fill that raises the cumulative quantity above that of every stored execution is
none of them by its total; if it is one of them by its id, the statement detects that too. For any other report about an
execution the executions are read from the database.
"""

from collections.abc import Iterable, Mapping

from domain.model.apply_reports import Applied
from domain.model.order import Order, VenueCount
from domain.model.reports import (
    ExecutionBusted,
    ExecutionCorrected,
    FilledQuantityCounted,
    OrderEnded,
    OrderFilled,
    Report,
)
from domain.ports.order_store import LoadedOrder


class OrderCache:
    """Cache of at most `orders_max` orders by their venue client order id; the least recently written are evicted
    first."""

    def __init__(self, *, orders_max: int) -> None:
        self._orders_max = orders_max
        self._rows: dict[str, LoadedOrder] = {}

    def get(self, venue_client_order_id: str) -> LoadedOrder | None:
        """Return the cached order, or None."""
        return self._rows.get(venue_client_order_id)

    def put(self, rows: Mapping[str, LoadedOrder]) -> None:
        """Cache these orders as they have just been written."""
        if not self._orders_max:
            return
        for name, row in rows.items():
            self._rows.pop(name, None)
            if _expects_more_fills(row.order):
                self._rows[name] = row
        while len(self._rows) > self._orders_max:
            del self._rows[next(iter(self._rows))]

    def remove(self, venue_client_order_ids: Iterable[str]) -> None:
        """Remove these orders, so that they are read the next time."""
        for name in venue_client_order_ids:
            self._rows.pop(name, None)

    def clear(self) -> None:
        """Remove all orders."""
        self._rows.clear()


def can_apply_without_executions(row: LoadedOrder, reports: Iterable[Report]) -> bool:
    """Return whether no report can name a stored execution of the order, so that none has to be read."""
    for report in reports:
        if isinstance(report, OrderFilled):
            if report.cumulative_quantity is None or row.filled_up_to is None:
                return False
            if report.cumulative_quantity <= row.filled_up_to:
                return False
        elif isinstance(report, ExecutionCorrected | ExecutionBusted | FilledQuantityCounted) or (
            isinstance(report, OrderEnded) and not _agrees(row, report.count)
        ):
            return False
    return True


def _agrees(row: LoadedOrder, count: VenueCount | None) -> bool:
    """Return whether the count is what is recorded: another one may be older than the newest fill."""
    return count is None or count.quantity == row.order.facts.filled_quantity == row.filled_up_to


def as_written(row: LoadedOrder, applied: Applied) -> LoadedOrder:
    """Return the row as it will be once `applied` is written, without its executions."""
    # While an execution counts because an operator booked it, the executions must be read: the next fill may be it.
    # Of several venue orders each counts by itself.
    has_booking = any(one.is_open_booking for one in (*row.executions, *applied.executions))
    filled_up_to = None if has_booking or applied.order.facts.successors else row.filled_up_to
    if filled_up_to is not None:
        for execution in applied.executions:
            if execution.cumulative_quantity is not None and execution.cumulative_quantity > filled_up_to:
                filled_up_to = execution.cumulative_quantity
    return LoadedOrder(
        order=applied.order,
        executions=(),
        attempt=row.attempt,
        attempts=row.attempts,
        maybe_sent_at=row.maybe_sent_at,
        lease_until=row.lease_until,
        filled_up_to=filled_up_to,
    )


def _expects_more_fills(order: Order) -> bool:
    """Return whether caching is useful. It is not for an ended order: its end reasons may grow without a new
    version.
    """
    return not order.facts.ends and order.facts.filled_quantity < order.quantity
