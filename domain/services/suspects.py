"""Orders whose executions do not add up to what the venue counts, until they are repaired or prove to be right."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

SUSPECTS_MAX = 10_000


@dataclass(slots=True)
class Suspects:
    """At most `orders_max` orders by their venue client order ids; the comparison of orders finds any other again.

    For those with another count of the venue only the venue can show that they are correct; a gap between two reports
    may be closed by a late report.
    """

    orders_max: int = SUSPECTS_MAX
    _counted_by_venue: dict[str, Decimal | None] = field(default_factory=dict)
    _added: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, venue_client_order_ids: Iterable[str]) -> None:
        """Add orders with a missing report, and wake a waiting task."""
        self._add((name, self._counted_by_venue.get(name)) for name in venue_client_order_ids)

    def add_counted(self, counts: Mapping[str, Decimal]) -> None:
        """Add orders with the venue's counts of them, and wake a waiting task."""
        self._add(counts.items())

    def _add(self, counts: Iterable[tuple[str, Decimal | None]]) -> None:
        for name, count in counts:
            if name not in self._counted_by_venue and len(self._counted_by_venue) >= self.orders_max:
                # The comparison adds it again: were new ones left out, as many that never settle would hide all others.
                del self._counted_by_venue[next(iter(self._counted_by_venue))]
            self._counted_by_venue[name] = count
            self._added.set()

    def remove(self, name: str) -> None:
        """Remove an order."""
        self._counted_by_venue.pop(name, None)

    def count(self, name: str) -> Decimal | None:
        """Return what the venue counted last as filled; None where only reports showed that something is missing."""
        return self._counted_by_venue.get(name)

    def names(self) -> Sequence[str]:
        """Return the orders, the first one added first."""
        return list(self._counted_by_venue)

    async def wait(self) -> None:
        """Wait until one is added. There is no time-out."""
        await self._added.wait()
        self._added.clear()
