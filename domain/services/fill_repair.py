"""Repair of orders whose filled quantity differs between the venue's count and the records: each is read by its own id.

The venue's lists may be late, omit a row at a page's border, or never contain a fill. The venue's count is the check in
both directions: more means that a fill is missing, less that a bust or correction is. A missing fill is looked up until
it is found, with growing pauses. A missing bust is only reported: a fill that is no longer listed proves nothing.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from domain.model.errors import VenueBusyError, VenueNotConnectedError, VenueUnauthorizedError, VenueUnreachableError
from domain.model.order import disagrees
from domain.model.venue_chain import filled_at
from domain.ports.clock_and_ids import Clock
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import Venue, VenueOrder
from domain.services.catch_up import CatchUp
from domain.services.chain_look_up import look_up
from domain.services.look_up_schedule import LOOK_UPS_PER_PAGE, LookUpPolicy, LookUpSchedule
from domain.services.recording import Recording
from domain.services.suspects import Suspects


@dataclass(slots=True, kw_only=True)
class FillRepair:
    """The use case of repairing the suspects of `fills`. One that disagrees for `alert_after` is an error: a person
    resolves it. `overlap` is by how much our clock and the venue's may differ."""

    venue: Venue
    orders: OrderStore
    recording: Recording
    fills: CatchUp
    telemetry: Telemetry
    clock: Clock
    overlap: timedelta
    policy: LookUpPolicy
    alert_after: timedelta
    _schedule: LookUpSchedule[str] = field(init=False)
    _running: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._schedule = self.policy.new_schedule()

    @property
    def _suspects(self) -> Suspects:
        return self.fills.suspects

    async def wait_until_due(self) -> None:
        """Wait until an order is suspected, or may be tried again. There is no time-out."""
        now = self.clock()
        times = [self._schedule.next_at(name) or now for name in self._suspects.names()]
        pause = max((min(times) - now).total_seconds(), 0.0) if times else None
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._suspects.wait()

    async def run(self) -> int:
        """Repair the suspects that are due; return the number of changes.

        Raises VenueUnreachableError when more requests make no sense now, and UnavailableError.
        """
        async with self._running:
            changes = await self._read_pages()
            for name in self.policy.run(self._schedule, self._suspects.names(), clock=self.clock):
                self._schedule.put_off(name, now=self.clock())
                try:
                    changes += await self._repair(name)
                except VenueUnreachableError as error:
                    self._schedule.start_over(name, now=self.clock())
                    if isinstance(error, VenueBusyError | VenueNotConnectedError | VenueUnauthorizedError):
                        raise
                    self.telemetry.warning(
                        "fill_repair_failed", venue_client_order_id=name, error=str(error), next="tried again later"
                    )
        return changes

    async def _read_pages(self) -> int:
        """Read the list of fills where many orders are new here, as after the close; return the number of changes.

        It is read only while that saves look-ups, from the oldest of their last changes on.
        """
        new = [name for name in self._suspects.names() if self._schedule.since(name) is None]
        pages_max, changes = len(new) // LOOK_UPS_PER_PAGE, 0
        if not pages_max:
            return 0
        rows = (await self.orders.load_reported(new, [])).values()
        since = min((row.order.updated_at for row in rows), default=self.clock()) - self.overlap
        async with aclosing(self.venue.fills(since=since)) as pages:
            async for page in pages:
                changes += await self.fills.record_listed(page)
                pages_max -= 1
                if not pages_max:
                    break
        for name, row in (await self.orders.load_reported(new, [])).items():
            if row.order.facts.filled_quantity == self._suspects.count(name):
                self._settle(name)
        return changes

    async def _repair(self, name: str) -> int:
        before = await self._load(name)
        if before is None or (self._suspects.count(name) is None and _adds_up(before)):
            self._settle(name)
            return 0
        found = await look_up(self.venue, before.order, is_whole=True)
        if not found or before.order.facts.venue_order_id != found[0].venue_order_id:
            # Missing or differing fills at the venue are handled elsewhere.
            self._suspects.remove(name)
            return 0
        self.telemetry.count(Metric.FILL_REPAIRS)
        recorded = await self.recording.record({name: [report for one in found for report in one.reports]})
        changes = len(recorded.changes) + await self._record_fills(found)
        after = await self._load(name)
        if after is not None:
            self._judge(name, found, before=before, after=after)
        return changes

    async def _record_fills(self, found: Sequence[VenueOrder]) -> int:
        changes = 0
        for one in found:
            async with aclosing(self.venue.fills_of(one.venue_order_id)) as pages:
                async for page in pages:
                    changes += await self.fills.record_listed(page)
        return changes

    def _judge(self, name: str, found: Sequence[VenueOrder], *, before: LoadedOrder, after: LoadedOrder) -> None:
        """Compare the venue's count between both reads, for each venue order: fills may continue meanwhile."""
        different = [one for one in found if _is_missing(one, after) or _is_excess(one, before, after)]
        if not different:
            self._settle(name)
            return
        shown = different[0]
        since = self._schedule.since(name)
        if since is None or self.clock() - since < self.alert_after:
            return
        self.telemetry.error(
            "fills_missing" if _is_missing(shown, after) else "fills_excess",
            order_id=str(after.order.id),
            venue_client_order_id=name,
            venue_order_id=shown.venue_order_id,
            counted=str(shown.filled_quantity),
            recorded=str(filled_at(after.order.facts, shown.venue_order_id)),
            next="read again with growing pauses; compare with the venue's statement and resolve it by hand",
        )

    def _settle(self, name: str) -> None:
        self._suspects.remove(name)
        self._schedule.remove(name)

    async def _load(self, name: str) -> LoadedOrder | None:
        return (await self.orders.load_reported([name], [])).get(name)


def _is_missing(found: VenueOrder, after: LoadedOrder) -> bool:
    return filled_at(after.order.facts, found.venue_order_id) < found.filled_quantity


def _is_excess(found: VenueOrder, before: LoadedOrder, after: LoadedOrder) -> bool:
    return all(filled_at(one.order.facts, found.venue_order_id) > found.filled_quantity for one in (before, after))


def _adds_up(row: LoadedOrder) -> bool:
    """Return whether the records show no difference: no gap between fills, and the same count."""
    return row.order.facts.filled_quantity == row.filled_up_to and not disagrees(row.order.whole)
