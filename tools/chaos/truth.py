"""The exchange's journal, read as our orders and executions. Pure but for the reading.

External orders are counted and left out: none of them, and none of their executions, may be known to us. Orders are
named by the exchange's client order id here; the evidence has our order ids.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from sys import intern
from typing import Any

from tools.chaos.arena import Arena
from tools.chaos.evidence import VenueExecution, VenueOrder, one

PAGE_ENTRIES = 2_000
"""So few that writing a page holds the exchange up for some milliseconds only."""
FILLS = frozenset({"fill", "partial_fill"})
ENDS = frozenset({"canceled", "expired", "replaced", "rejected"})

Json = dict[str, Any]


async def newest_entry(arena: Arena) -> int:
    """Return the number of the journal's newest entry."""
    number: int = (await arena.control("GET", "journal?after=0&limit=1"))["last"]
    return number


class Journal:
    """What the exchange has written so far, read on from where the last reading ended."""

    def __init__(self) -> None:
        self.executions: list[VenueExecution] = []
        self.external_executions = 0
        self._external: set[str] = set()
        self._read = 0
        self._accepted: list[VenueOrder] = []
        self._ends: dict[str, str] = {}

    @property
    def orders(self) -> Sequence[VenueOrder]:
        """The orders that the exchange accepted, one for each acceptance, with their ends."""
        return [replace(order, end=self._ends.get(order.venue_order_id)) for order in self._accepted]

    @property
    def external_orders(self) -> int:
        """Return how many external orders, legs included, the exchange has accepted."""
        return len(self._external)

    @property
    def open_orders(self) -> set[str]:
        """The ids of the orders without an end."""
        return {order.order_id for order in self._accepted if order.venue_order_id not in self._ends}

    async def read_on(self, arena: Arena) -> None:
        """Read every entry that is new."""
        while True:
            page = await arena.control("GET", f"journal?after={self._read}&limit={PAGE_ENTRIES}")
            self.take(page["entries"])
            if page["is_complete"]:
                return
            await asyncio.sleep(0)

    def take(self, entries: Sequence[Json]) -> None:
        """Take the next entries."""
        self._read += len(entries)
        for entry in entries:
            if "wire_fields" in entry:
                self._external.add(entry["order_id"])
            if entry["order_id"] in self._external:
                self.external_executions += entry.get("event") in FILLS
            elif entry["kind"] == "order":
                self._accepted.append(_accepted(entry))
            elif entry["kind"] == "event":
                self._take_event(entry)

    def _take_event(self, entry: Json) -> None:
        if entry["event"] in ENDS or entry["event"] == "fill":
            self._ends[entry["order_id"]] = "filled" if entry["event"] == "fill" else intern(entry["event"])
        if entry["event"] in FILLS:
            self.executions.append(_execution(entry))


def _accepted(entry: Json) -> VenueOrder:
    return VenueOrder(
        order_id=intern(entry["client_order_id"]),
        venue_order_id=entry["order_id"],
        quantity=one(entry["qty"]),
        end=None,
    )


def _execution(entry: Json) -> VenueExecution:
    return VenueExecution(
        execution_id=intern(entry["execution_id"]),
        order_id=intern(entry["client_order_id"]),
        quantity=one(entry["qty"]),
        price=one(entry["price"]),
    )
