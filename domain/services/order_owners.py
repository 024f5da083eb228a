"""Whether a venue's id names one of our orders, or an external one.

An id that is linked to one of our orders needs no request. For any other the order's client order id is looked up at
the venue, since a fill may precede the acknowledgement of a new order of ours. An order that was not placed here is
ours if it replaced one of ours, which it names itself.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from domain.model.errors import VenueBusyError, VenueUnauthorizedError, VenueUnreachableError
from domain.model.reports import OrderReplaced, Report
from domain.ports.clock_and_ids import Clock
from domain.ports.order_store import OrderStore
from domain.ports.telemetry import Telemetry
from domain.ports.venue import ExternalOrder, Venue
from domain.services.look_up_schedule import LookUpPolicy, LookUpSchedule

CACHED_IDS_MAX = 100_000
LINE_MAX = 20
"""How many orders that replaced one another one run looks up; the next one goes on behind them."""
KNOWN_LINE_MAX = 1_000
"""How many of those that are known are followed."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The venue client order ids of our orders by the venue's ids, the venue's ids of external orders, and those
    without an order at the venue.

    Any other id is pending: its look-up failed or was not made yet.
    """

    ours: Mapping[str, str]
    external: Collection[str]
    not_found: Collection[str]

    def is_pending(self, name: str) -> bool:
        """Return whether it is not known yet whose order that is."""
        return name not in self.ours and name not in self.external and name not in self.not_found


@dataclass(slots=True, kw_only=True)
class OrderOwners:
    """Resolves the venue's ids. What it found out does not change, so that it is cached."""

    venue: Venue
    orders: OrderStore
    telemetry: Telemetry
    clock: Clock
    policy: LookUpPolicy
    _ours: dict[str, str] = field(default_factory=dict)
    _replaced: dict[str, OrderReplaced] = field(default_factory=dict)
    _external: dict[str, None] = field(default_factory=dict)
    _not_found: dict[str, None] = field(default_factory=dict)
    _schedule: LookUpSchedule[str] = field(init=False)

    def __post_init__(self) -> None:
        self._schedule = self.policy.new_schedule()

    async def linked(self, names: Collection[str]) -> Mapping[str, str]:
        """Return the venue client order ids of our orders that are linked to these ids: by the ids themselves, or by
        those of the orders that they replaced. Raises UnavailableError."""
        lines = {name: [name, *self._replaced_by(name)] for name in names}
        wanted = {each for line in lines.values() for each in line}
        known = {each: self._ours[each] for each in wanted if each in self._ours}
        others = {each for each in wanted if each not in known and each not in self._external}
        if others:
            found = await self.orders.venue_client_order_ids(others)
            for name, venue_client_order_id in found.items():
                _cache(self._ours, name, venue_client_order_id)
            known.update(found)
        return {
            name: owner
            for name, line in lines.items()
            if (owner := next((known[each] for each in line if each in known), None)) is not None
        }

    def note_replaced(self, reports: Iterable[Report]) -> None:
        """Note which orders replaced which ones, of reports about orders that were not placed here."""
        for report in reports:
            if isinstance(report, OrderReplaced):
                _cache(self._replaced, report.venue_order_id, report)
                if self.is_external(report.replaces):
                    # Others may replace an order all day: the line to its first one would be too long to follow.
                    _cache(self._external, report.venue_order_id, None)

    def note_external(self, names: Iterable[str]) -> None:
        """Note ids of orders that were not placed here and replaced none: then what replaces them is not ours."""
        for name in names:
            _cache(self._external, name, None)

    def links_to(self, name: str) -> Sequence[OrderReplaced]:
        """Return how the id follows from one that it replaced, the oldest step first, as far as it is known."""
        return [self._replaced[each] for each in reversed([name, *self._replaced_by(name)]) if each in self._replaced]

    def is_external(self, name: str) -> bool:
        """Return whether the id is known to name an external order, or a replacement of one."""
        return any(each in self._external for each in (name, *self._replaced_by(name)))

    def _replaced_by(self, name: str) -> Sequence[str]:
        """Return the ids of the orders that it replaced, the newest first."""
        line = [name]
        while (report := self._replaced.get(line[-1])) is not None and len(line) <= KNOWN_LINE_MAX:
            line.append(report.replaces)
        return line[1:]

    def pending_since(self, name: str) -> datetime | None:
        """Return when the id was first looked up without success; None when it was not."""
        return self._schedule.since(name)

    async def resolve(self, names: Iterable[str]) -> Owners:
        """Resolve the ids as far as the bounds of one run allow, in their order. Raises UnavailableError.

        A failed look-up concerns only its id, unless it failed for the number of requests or for our key.
        """
        wanted = list(dict.fromkeys(names))
        ours = await self.linked(wanted)
        unlinked = [name for name in wanted if name not in ours and not self.is_external(name)]
        for name in self.policy.run(self._schedule, unlinked, clock=self.clock):
            if not await self._look_up(name):
                break
        return Owners(
            ours={**ours, **{name: self._ours[name] for name in unlinked if name in self._ours}},
            external={name for name in wanted if name not in ours and self.is_external(name)},
            not_found={name for name in unlinked if name in self._not_found},
        )

    async def _look_up(self, name: str) -> bool:
        """Look up one order; return whether more look-ups make sense now."""
        self._schedule.put_off(name, now=self.clock())
        self._not_found.pop(name, None)
        try:
            await self._follow(name)
        except VenueUnreachableError as error:
            self.telemetry.warning(
                "order_look_up_failed", venue_order_id=name, error=str(error), next="looked up again later"
            )
            return not isinstance(error, VenueBusyError | VenueUnauthorizedError)
        return True

    async def _follow(self, name: str) -> None:
        """Look up the order, and those that it replaced until it is known whether they are ours."""
        for _ in range(LINE_MAX):
            oldest = [name, *self._replaced_by(name)][-1]
            found = await self.venue.find_by_venue_order_id(oldest)
            if found is None or (isinstance(found, ExternalOrder) and found.is_unreadable_replacement):
                # Perhaps a new order of ours that the venue does not show yet.
                _cache(self._not_found, name, None)
                return
            if not isinstance(found, ExternalOrder):
                _cache(self._ours, name, found.venue_client_order_id)
            elif found.replacement is None:
                _cache(self._external, oldest, None)
            else:
                self.note_replaced(found.replacement.reports)
                if not await self._is_linked(name):
                    continue
            self._schedule.remove(name)
            return

    async def _is_linked(self, name: str) -> bool:
        owner = (await self.linked([name])).get(name)
        if owner is not None:
            _cache(self._ours, name, owner)
        return owner is not None or self.is_external(name)


def _cache(cache: dict[str, _Value], name: str, value: _Value) -> None:
    """Add to the cache; the oldest entry makes room."""
    cache[name] = value
    if len(cache) > CACHED_IDS_MAX:
        del cache[next(iter(cache))]
