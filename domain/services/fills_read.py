"""One read of the venue's list of fills: what it found, and how its pages are requested."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.model.errors import VenueUnreachableError
from domain.model.reports import OrderFilled
from domain.ports.order_store import FillName
from domain.ports.venue import ListedFill, VenueReport

DEFERRED_FILLS_MAX = 10_000
"""Fills of one read whose orders are looked up after all others are recorded."""


@dataclass(slots=True)
class FillsRead:
    """The result of one read of the fills since `since`: the number of changes, when the newest fill was executed, and
    the oldest one whose order is not known yet, all by the venue's clock.

    `failure` ended the list early, for example a rate limit: fills listed before it are recorded.
    """

    since: datetime
    changes: int = 0
    newest_at: datetime | None = None
    pending_since: datetime | None = None
    failure: VenueUnreachableError | None = None
    deferred: list[ListedFill] = field(default_factory=list)

    def note_newest(self, fills: Sequence[VenueReport]) -> None:
        """Note when the newest fill was executed."""
        times = [fill.at for fill in fills] + ([] if self.newest_at is None else [self.newest_at])
        self.newest_at = max(times, default=None)

    def defer(self, fills: Sequence[ListedFill]) -> None:
        """Add fills whose orders are looked up later. Those beyond the bound are read again by the next read."""
        room = DEFERRED_FILLS_MAX - len(self.deferred)
        self.deferred += fills[:room]
        for fill in fills[room:]:
            self.keep_pending(fill)

    def keep_pending(self, fill: ListedFill) -> None:
        """Record a fill that must be read again; the time of an unreadable one is unknown."""
        at = fill.at if isinstance(fill, VenueReport) else self.since
        self.pending_since = at if self.pending_since is None else min(self.pending_since, at)


def fill_name(report: VenueReport) -> FillName | None:
    """Return the fill's name if the report is exactly one fill; else None."""
    match report.reports:
        case (OrderFilled(venue_order_id=str() as venue_order_id, venue_execution_id=venue_execution_id),):
            return venue_order_id, venue_execution_id
    return None


async def prefetched(batches: AsyncGenerator[Sequence[ListedFill]]) -> AsyncGenerator[Sequence[ListedFill]]:
    """Yield the same items, requesting the next while one is processed: both take about the same time."""
    following = asyncio.ensure_future(anext(batches, None))
    try:
        while (fills := await following) is not None:
            following = asyncio.ensure_future(anext(batches, None))
            yield fills
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await batches.aclose()
