"""The orders, executions and positions of the simulated exchange, with the indexes to find them.

Look-ups by an id take constant time, lists start by binary search on the submission time, which is unique while the
clock is not set back. Orders are forgotten only by the control, and a client order id stays in use even then.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from exchange.simulator.orders import Execution, Order, Side, shared
from exchange.simulator.positions import AccountHolding

COMPACTION_MIN_ORDERS = 1024

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """A page of orders. `is_open` None means all; `after` and `until` are exclusive bounds of the submission time.

    A nested page shows the legs of an order under it and not as separate rows.
    """

    is_open: bool | None
    limit: int
    after: datetime | None
    until: datetime | None
    newest_first: bool
    symbols: frozenset[str] | None
    side: Side | None
    is_nested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionQuery:
    """A page of executions. `from_execution` is the last one of the previous page; the times are exclusive bounds.

    `order_id` None means those of all orders. Executions for which `is_listed` is false are left out.
    """

    limit: int
    after: datetime | None
    until: datetime | None
    newest_first: bool
    from_execution: Execution | None
    order_id: str | None = None
    is_listed: Callable[[Execution], bool] | None = None


class OrderBook:
    """The orders of the account."""

    def __init__(self) -> None:
        self.positions: dict[str, AccountHolding] = {}
        self._by_id: dict[str, Order] = {}
        # Where several orders have one client order id, since the venue does not check it: the last one.
        self._by_client_order_id: dict[str, Order] = {}
        self._forgotten_client_order_ids: set[str] = set()
        self._submitted: list[Order] = []
        # The open orders by submission; closed ones stay in it until they are more than half, then it is compacted.
        self._open: list[Order] = []
        self._closed_in_open = 0
        self._executions: list[Execution] = []
        self._execution_by_id: dict[str, Execution] = {}
        self._executions_by_order: dict[str, list[Execution]] = {}

    def __len__(self) -> int:
        return len(self._submitted)

    def is_taken(self, client_order_id: str) -> bool:
        """Return whether an order had this client order id, a forgotten one included."""
        return client_order_id in self._by_client_order_id or client_order_id in self._forgotten_client_order_ids

    def add(self, order: Order) -> None:
        """Add an order at the place of its submission time: the end, unless the clock was set back."""
        self._by_id[order.id] = order
        self._by_client_order_id[order.terms.client_order_id] = order
        insort(self._submitted, order, key=_submitted_at)
        insort(self._open, order, key=_submitted_at)
        if order.parent is not None:
            order.parent.legs = (*order.parent.legs, order)

    def forget(self, order: Order) -> None:
        """Remove the order from look-ups and lists. Its executions and its positions stay in the account."""
        was_open = order.is_open
        order.is_forgotten = True
        del self._by_id[order.id]
        if self._by_client_order_id.get(order.terms.client_order_id) is order:
            del self._by_client_order_id[order.terms.client_order_id]
        self._forgotten_client_order_ids.add(order.terms.client_order_id)
        self._submitted.remove(order)
        if was_open:
            self.note_closed()

    def find(self, order_id: str) -> Order | None:
        return self._by_id.get(order_id)

    def find_by_client_order_id(self, client_order_id: str) -> Order | None:
        return self._by_client_order_id.get(client_order_id)

    def note_closed(self) -> None:
        """One order of the open ones has ended."""
        self._closed_in_open += 1
        if self._closed_in_open * 2 > len(self._open) > COMPACTION_MIN_ORDERS:
            self._open = [order for order in self._open if order.is_open]
            self._closed_in_open = 0

    def open_orders(self) -> list[Order]:
        return [order for order in self._open if order.is_open]

    def list_orders(self, query: OrderQuery, *, now: datetime) -> list[Order]:
        """Return one page. Orders that are still hidden are omitted."""
        found = (order for order in self._range(query) if order.is_visible(now=now) and _matches(query, order))
        return list(islice(found, query.limit))

    def _range(self, query: OrderQuery) -> Iterator[Order]:
        orders = self._open if query.is_open else self._submitted
        start = 0 if query.after is None else bisect_right(orders, query.after, key=_submitted_at)
        stop = len(orders) if query.until is None else bisect_left(orders, query.until, key=_submitted_at)
        return _span(orders, start, stop, newest_first=query.newest_first)

    def record_execution(
        self, order: Order, *, execution_id: str, quantity: Decimal, price: Decimal, at: datetime
    ) -> Execution:
        """Count one execution in its order and in the position."""
        quantity, price = shared(quantity), shared(price)
        order.fill(quantity=quantity, price=price, at=at)
        position = self._trade(order, quantity=quantity, price=price)
        execution = Execution(
            id=execution_id,
            order=order,
            quantity=quantity,
            price=price,
            at=at,
            cumulative_quantity=order.filled_quantity,
            position_quantity=position.quantity,
        )
        insort(self._executions, execution, key=_executed_at)
        insort(self._executions_by_order.setdefault(order.id, []), execution, key=_executed_at)
        self._execution_by_id[execution_id] = execution
        return execution

    def revise_execution(
        self, execution: Execution, *, own_id: str, quantity: Decimal, price: Decimal, at: datetime
    ) -> None:
        """Change an execution after the fact; a quantity of zero busts it. `own_id` is the id of the amendment."""
        execution.id = own_id
        self._execution_by_id[own_id] = execution
        quantity_change = quantity - execution.quantity
        notional_change = quantity * price - execution.quantity * execution.price
        execution.order.revise(quantity_change=quantity_change, notional_change=notional_change, at=at)
        self._trade(execution.order, quantity=-execution.quantity, price=execution.price)
        position = self._trade(execution.order, quantity=quantity, price=price)
        execution.position_quantity = position.quantity
        if quantity:
            execution.quantity, execution.price = quantity, price
            execution.cumulative_quantity += quantity_change
        else:
            # A busted execution stays readable: the event and the journal contain its quantity and price.
            execution.is_busted = True

    def _trade(self, order: Order, *, quantity: Decimal, price: Decimal) -> AccountHolding:
        position = self.positions.setdefault(order.terms.instrument.symbol, AccountHolding())
        signed_quantity = quantity if order.terms.side is Side.BUY else -quantity
        position.trade(signed_quantity=signed_quantity, price=price)
        return position

    def find_execution(self, execution_id: str) -> Execution | None:
        return self._execution_by_id.get(execution_id)

    def list_executions(self, query: ExecutionQuery) -> list[Execution]:
        """One page, without the busted ones."""
        executions = self._executions if query.order_id is None else self._executions_by_order.get(query.order_id, [])
        start = 0 if query.after is None else bisect_right(executions, query.after, key=_executed_at)
        stop = len(executions) if query.until is None else bisect_left(executions, query.until, key=_executed_at)
        if query.from_execution is not None:
            if query.newest_first:
                stop = min(stop, _place(executions, query.from_execution))
            else:
                start = max(start, _place(executions, query.from_execution) + 1)
        page = (
            item
            for item in _span(executions, start, stop, newest_first=query.newest_first)
            if not item.is_busted and (query.is_listed is None or query.is_listed(item))
        )
        return list(islice(page, query.limit))


def _place(executions: list[Execution], execution: Execution) -> int:
    first_of_its_time = bisect_left(executions, execution.at, key=_executed_at)
    return executions.index(execution, first_of_its_time)


def _submitted_at(order: Order) -> datetime:
    return order.submitted_at


def _executed_at(execution: Execution) -> datetime:
    return execution.at


def _matches(query: OrderQuery, order: Order) -> bool:
    return (
        (query.is_open is None or order.is_open is query.is_open)
        and not (query.is_nested and order.parent is not None and not order.parent.is_forgotten)
        and (query.side is None or order.terms.side is query.side)
        and (query.symbols is None or order.terms.instrument.symbol in query.symbols)
    )


def _span(items: list[_Item], start: int, stop: int, *, newest_first: bool) -> Iterator[_Item]:
    """Iterate over a range without a copy of it."""
    positions = range(stop - 1, start - 1, -1) if newest_first else range(start, stop)
    return (items[position] for position in positions)
