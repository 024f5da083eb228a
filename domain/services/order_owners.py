"""Whose order a venue's id names: one of ours, or an external one.

An id that is linked to one of our orders needs no request. For any other the venue is asked for the order's client
order id, since a fill may precede the acknowledgement of a new order of ours.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from domain.model.errors import VenueBusyError, VenueUnauthorizedError, VenueUnreachableError
from domain.ports.clock_and_ids import Clock
from domain.ports.order_store import OrderStore
from domain.ports.telemetry import Telemetry
from domain.ports.venue import ExternalOrder, Venue
from domain.services.look_up_schedule import LookUpPolicy, LookUpSchedule

CACHED_IDS_MAX = 100_000

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The venue client order ids of our orders by the venue's ids, the venue's ids of external orders, and those of
    which the venue shows no order.

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
    _external: dict[str, None] = field(default_factory=dict)
    _not_found: dict[str, None] = field(default_factory=dict)
    _schedule: LookUpSchedule[str] = field(init=False)

    def __post_init__(self) -> None:
        self._schedule = self.policy.new_schedule()

    async def linked(self, names: Collection[str]) -> Mapping[str, str]:
        """Return the venue client order ids of our orders that are linked to these ids. Raises UnavailableError."""
        ours = {name: self._ours[name] for name in names if name in self._ours}
        others = {name for name in names if name not in ours and name not in self._external}
        if others:
            found = await self.orders.venue_client_order_ids(others)
            for name, venue_client_order_id in found.items():
                _cache(self._ours, name, venue_client_order_id)
            ours.update(found)
        return ours

    def is_external(self, name: str) -> bool:
        """Return whether the id is known to name an external order."""
        return name in self._external

    def pending_since(self, name: str) -> datetime | None:
        """Return when the id was first looked up in vain; None when it was not."""
        return self._schedule.since(name)

    async def resolve(self, names: Iterable[str]) -> Owners:
        """Resolve the ids as far as the bounds of one run allow, in their order. Raises UnavailableError.

        A look-up that fails concerns its id alone, unless it failed for the number of requests or for our key.
        """
        wanted = list(dict.fromkeys(names))
        ours = await self.linked(wanted)
        unlinked = [name for name in wanted if name not in ours and name not in self._external]
        for name in self.policy.run(self._schedule, unlinked, clock=self.clock):
            if not await self._look_up(name):
                break
        return Owners(
            ours={**ours, **{name: self._ours[name] for name in unlinked if name in self._ours}},
            external={name for name in wanted if name in self._external},
            not_found={name for name in unlinked if name in self._not_found},
        )

    async def _look_up(self, name: str) -> bool:
        """Look one order up; return whether more look-ups make sense now."""
        self._schedule.put_off(name, now=self.clock())
        self._not_found.pop(name, None)
        try:
            found = await self.venue.find_by_venue_order_id(name)
        except VenueUnreachableError as error:
            self.telemetry.warning(
                "order_look_up_failed", venue_order_id=name, error=str(error), next="looked up again later"
            )
            return not isinstance(error, VenueBusyError | VenueUnauthorizedError)
        if found is None:
            # Perhaps a new order of ours that the venue does not show yet.
            _cache(self._not_found, name, None)
            return True
        self._schedule.remove(name)
        if isinstance(found, ExternalOrder):
            _cache(self._external, name, None)
        else:
            _cache(self._ours, name, found.venue_client_order_id)
        return True


def _cache(cache: dict[str, _Value], name: str, value: _Value) -> None:
    """Add to the cache; the oldest entry makes room."""
    cache[name] = value
    if len(cache) > CACHED_IDS_MAX:
        del cache[next(iter(cache))]
