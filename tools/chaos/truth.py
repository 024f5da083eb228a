"""The exchange's journal, read as our orders and executions: the final state after all busts, corrections and
restatements.

External orders are counted and left out: none of them, and none of their executions, may be stored here. Orders are
named by the exchange's client order id here; the evidence has our order ids.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from sys import intern
from typing import Any

from tools.chaos.arena import Arena
from tools.chaos.evidence import VenueExecution, VenueOrder, one

PAGE_ENTRIES = 2_000
"""So few that writing a page holds the exchange up for some milliseconds only."""
FILLS = frozenset({"fill", "partial_fill"})
AMENDMENTS = frozenset({"trade_bust", "trade_correct"})
ENDS = frozenset({"canceled", "expired", "replaced", "rejected"})
ZERO = Decimal(0)

Json = dict[str, Any]
Filled = tuple[Decimal, Decimal]
"""A quantity and a notional."""


async def newest_entry(arena: Arena) -> int:
    """Return the number of the journal's newest entry."""
    number: int = (await arena.control("GET", "journal?after=0&limit=1"))["last"]
    return number


class Journal:
    """The exchange's entries so far, read from the end of the previous read.

    `filled` is the filled quantity of each order with fills, `restated` the names of those whose terms were changed,
    `counts` the number of each event of AMENDMENTS, of restatements and of forgotten orders.
    """

    def __init__(self) -> None:
        self.external_executions = 0
        self.filled: defaultdict[str, Filled] = defaultdict(lambda: (ZERO, ZERO))
        self.restated: dict[str, tuple[str, Decimal]] = {}
        self.forgotten: set[str] = set()
        self.counts: defaultdict[str, int] = defaultdict(int)
        self._external: set[str] = set()
        self._read = 0
        self._accepted: list[VenueOrder] = []
        self._orders: dict[str, VenueOrder] = {}
        self._executions: dict[str, VenueExecution] = {}
        self._first_ids: dict[str, str] = {}

    @property
    def orders(self) -> Sequence[VenueOrder]:
        """The orders that the exchange accepted, one for each acceptance, as they are now."""
        orders = (self._orders[order.venue_order_id] for order in self._accepted)
        return [replace(order, filled_quantity=self._filled_quantity(order)) for order in orders]

    @property
    def executions(self) -> Sequence[VenueExecution]:
        """The executions, as they are now."""
        return list(self._executions.values())

    @property
    def external_orders(self) -> int:
        """Return how many external orders, legs included, the exchange has accepted."""
        return len(self._external)

    @property
    def open_orders(self) -> set[str]:
        """Return the names of the orders without an end, except forgotten ones."""
        return {order.order_id for order in self._orders.values() if order.end is None and not order.is_forgotten}

    @property
    def short_orders(self) -> set[str]:
        """The names of the orders that are called filled, and are not any more."""
        ended = (order for order in self._orders.values() if order.end == "filled")
        return {order.order_id for order in ended if self._filled_quantity(order) < order.quantity}

    def first_id(self, execution_id: str) -> str:
        """Return the first of the ids of an execution; an unknown id is its own."""
        return self._first_ids.get(execution_id, execution_id)

    def execution(self, execution_id: str) -> VenueExecution | None:
        """Return the execution as it is now, by any of its ids."""
        return self._executions.get(self.first_id(execution_id))

    async def read_on(self, arena: Arena) -> None:
        """Read every entry that is new."""
        while True:
            page = await arena.control("GET", f"journal?after={self._read}&limit={PAGE_ENTRIES}")
            self.take(page["entries"])
            if page["is_complete"]:
                return
            await asyncio.sleep(0)

    def take(self, entries: Sequence[Json]) -> None:
        """Add the next entries."""
        self._read += len(entries)
        for entry in entries:
            if "wire_fields" in entry:
                self._external.add(entry["order_id"])
            if entry["order_id"] in self._external:
                self.external_executions += entry.get("event") in FILLS
            elif entry["kind"] == "order":
                self._accept(entry)
            elif entry["kind"] == "forgotten":
                self.forgotten.add(intern(entry["client_order_id"]))
                self.counts["forgotten"] += 1
                self._change(entry, is_forgotten=True)
            else:
                self._take_event(entry)

    def _accept(self, entry: Json) -> None:
        order = _accepted(entry)
        self._accepted.append(order)
        self._orders[order.venue_order_id] = order

    def _take_event(self, entry: Json) -> None:
        event = entry["event"]
        if event in FILLS:
            self._note_execution(_execution(entry))
        elif event in AMENDMENTS:
            self._amend(entry)
        elif event == "restated":
            self._restate(entry)
        if event in ENDS or event == "fill":
            self._change(entry, end="filled" if event == "fill" else intern(event))

    def _amend(self, entry: Json) -> None:
        self.counts[entry["event"]] += 1
        first_id = self.first_id(entry["previous_execution_id"])
        self._first_ids[intern(entry["execution_id"])] = first_id
        quantity = ZERO if entry["event"] == "trade_bust" else one(entry["qty"])
        self._note_execution(replace(self._executions[first_id], quantity=quantity, price=one(entry["price"])))

    def _note_execution(self, execution: VenueExecution) -> None:
        before = self._executions.get(execution.execution_id)
        quantity, notional = self.filled[execution.order_id]
        if before is not None:
            quantity, notional = quantity - before.quantity, notional - before.quantity * before.price
        self._executions[execution.execution_id] = execution
        self.filled[execution.order_id] = (
            quantity + execution.quantity,
            notional + execution.quantity * execution.price,
        )

    def _restate(self, entry: Json) -> None:
        self.counts["restated"] += 1
        symbol, quantity = intern(entry["terms"]["symbol"]), one(entry["terms"]["qty"])
        self.restated[intern(entry["client_order_id"])] = (symbol, quantity)
        self._change(entry, symbol=symbol, quantity=quantity)
        if Decimal(entry["filled_qty"]) >= quantity:
            self._change(entry, end="filled")

    def _change(self, entry: Json, **changed: Any) -> None:
        order = self._orders[entry["order_id"]]
        self._orders[order.venue_order_id] = replace(order, **changed)

    def _filled_quantity(self, order: VenueOrder) -> Decimal:
        return self.filled[order.order_id][0] if order.order_id in self.filled else ZERO


def _accepted(entry: Json) -> VenueOrder:
    return VenueOrder(
        order_id=intern(entry["client_order_id"]),
        venue_order_id=entry["order_id"],
        symbol=intern(entry["symbol"]),
        quantity=one(entry["qty"]),
        filled_quantity=ZERO,
        end=None,
    )


def _execution(entry: Json) -> VenueExecution:
    return VenueExecution(
        execution_id=intern(entry["execution_id"]),
        order_id=intern(entry["client_order_id"]),
        quantity=one(entry["qty"]),
        price=one(entry["price"]),
    )
