"""The exchange's journal, read as the orders and executions that it tells. Pure but for the reading."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.chaos.arena import Arena
from tests.chaos.evidence import VenueExecution, VenueOrder

PAGE_ENTRIES = 20_000
ENDS = frozenset({"canceled", "expired", "replaced", "rejected"})

Json = dict[str, Any]


async def newest_entry(arena: Arena) -> int:
    """The number of the journal's newest entry."""
    number: int = (await arena.control("GET", "journal?after=0&limit=1"))["last"]
    return number


async def read_journal(arena: Arena) -> Sequence[Json]:
    """Every entry."""
    entries: list[Json] = []
    while True:
        page = await arena.control("GET", f"journal?after={len(entries)}&limit={PAGE_ENTRIES}")
        entries += page["entries"]
        if page["is_complete"]:
            return entries


def venue_orders(entries: Sequence[Json]) -> Sequence[VenueOrder]:
    """The orders that the exchange accepted, one for each acceptance, with their ends."""
    ends: dict[str, str] = {}
    for entry in entries:
        if entry["kind"] == "event" and (entry["event"] in ENDS or entry["event"] == "fill"):
            ends[entry["order_id"]] = "filled" if entry["event"] == "fill" else entry["event"]
    return [
        VenueOrder(
            order_id=entry["client_order_id"],
            venue_order_id=entry["order_id"],
            quantity=Decimal(entry["qty"]),
            end=ends.get(entry["order_id"]),
        )
        for entry in entries
        if entry["kind"] == "order"
    ]


def venue_executions(entries: Sequence[Json]) -> Sequence[VenueExecution]:
    """The executions."""
    return [
        VenueExecution(
            execution_id=entry["execution_id"],
            order_id=entry["client_order_id"],
            quantity=Decimal(entry["qty"]),
            price=Decimal(entry["price"]),
        )
        for entry in entries
        if entry["kind"] == "event" and entry["event"] in {"fill", "partial_fill"}
    ]
