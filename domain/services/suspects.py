"""Orders whose executions do not add up to what the venue counts, until they are repaired or prove to be right."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SUSPECTS_MAX = 10_000


@dataclass(slots=True)
class Suspects:
    """At most SUSPECTS_MAX orders by their venue client order ids; the comparison of orders finds any other again.

    Of those that the venue `counted` otherwise only the venue can tell that they are right; a gap between two reports
    may close by a report that was only late.
    """

    _counted_by_venue: dict[str, bool] = field(default_factory=dict)
    _added: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, venue_client_order_ids: Iterable[str], *, counted: bool = False) -> None:
        """Add orders, and wake who waits for one."""
        for name in venue_client_order_ids:
            if name in self._counted_by_venue or len(self._counted_by_venue) < SUSPECTS_MAX:
                self._counted_by_venue[name] = counted or self._counted_by_venue.get(name, False)
                self._added.set()

    def remove(self, name: str) -> None:
        """Remove an order."""
        self._counted_by_venue.pop(name, None)

    def is_counted(self, name: str) -> bool:
        """Return whether the venue itself counted otherwise."""
        return self._counted_by_venue.get(name, False)

    def names(self) -> Sequence[str]:
        """Return the orders, the first one added first."""
        return list(self._counted_by_venue)

    async def wait(self) -> None:
        """Wait until one is added. There is no time-out."""
        await self._added.wait()
        self._added.clear()
