"""The orders that were written last, kept so that the next report of one of them needs no reading.

What is kept may be old: somebody else may have written since. That is found where it counts, by the statement that
writes, which compares every order's version; then everything is read, as if nothing had been kept.

The stored executions are not kept. A fill that raises the cumulative quantity above that of every stored execution is
none of them by its total; should it be one of them by its name, the statement finds that too. Whatever else a report
says of an execution is looked up in the database.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

from domain.model.apply_reports import Applied
from domain.model.order import Order
from domain.model.reports import ExecutionBusted, ExecutionCorrected, OrderFilled, Report
from domain.ports.order_store import LoadedOrder


class OrderCache:
    """At most so many orders as they were written last; those that were written longest ago are forgotten first."""

    def __init__(self, *, orders_max: int) -> None:
        self._orders_max = orders_max
        self._rows: dict[UUID, LoadedOrder] = {}

    def get(self, order_id: UUID) -> LoadedOrder | None:
        """The order, if it is kept."""
        return self._rows.get(order_id)

    def keep(self, rows: Mapping[UUID, LoadedOrder]) -> None:
        """Keep these orders as they have just been written."""
        if not self._orders_max:
            return
        for order_id, row in rows.items():
            self._rows.pop(order_id, None)
            if _is_plain(row.order):
                self._rows[order_id] = row
        while len(self._rows) > self._orders_max:
            del self._rows[next(iter(self._rows))]

    def forget(self, order_ids: Iterable[UUID]) -> None:
        """Read these orders again, the next time."""
        for order_id in order_ids:
            self._rows.pop(order_id, None)

    def forget_all(self) -> None:
        """Read everything again."""
        self._rows.clear()


def suffices(row: LoadedOrder, reports: Iterable[Report]) -> bool:
    """Whether these reports can be applied to the order without its stored executions: they name none of them."""
    for report in reports:
        if isinstance(report, OrderFilled):
            if report.cumulative_quantity is None or row.filled_up_to is None:
                return False
            if report.cumulative_quantity <= row.filled_up_to:
                return False
        elif isinstance(report, ExecutionCorrected | ExecutionBusted):
            return False
    return True


def as_written(row: LoadedOrder, applied: Applied) -> LoadedOrder:
    """The row as it is once that was written to it, without its executions."""
    filled_up_to = row.filled_up_to
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


def _is_plain(order: Order) -> bool:
    """Whether more is to be expected of it. The reasons of ends may grow without a version: such an order is read."""
    return not order.facts.ends and order.facts.filled_quantity < order.terms.quantity
