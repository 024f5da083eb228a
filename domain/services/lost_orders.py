"""Orders that the venue accepted and no longer has: an alert is logged, and the orders are unchanged.

The venue's own "not found" proves nothing about the order's outcome: it may have been executed. So nothing is concluded
from any number of them; an operator asks the venue, and resolves the order.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.ports.clock_and_ids import Clock
from domain.ports.order_store import LoadedOrder
from domain.ports.telemetry import Telemetry
from domain.services.look_up_schedule import PUT_OFF_MAX


@dataclass(slots=True)
class _Missing:
    since: datetime
    is_told: bool = False


@dataclass(slots=True, kw_only=True)
class LostOrders:
    """The orders that look-ups do not find, by their venue client order ids: at most as many as can be postponed.

    One look-up is not enough, since an order may be missing for some seconds: an order is lost when look-ups have not
    found it for `lost_after`.
    """

    telemetry: Telemetry
    clock: Clock
    lost_after: timedelta
    _missing: dict[str, _Missing] = field(default_factory=dict)

    def note_missing(self, row: LoadedOrder) -> None:
        """Record that the venue does not have the order; log it once when that has lasted."""
        order, now = row.order, self.clock()
        missing = self._missing.setdefault(order.venue_client_order_id, _Missing(since=now))
        if len(self._missing) > PUT_OFF_MAX:
            del self._missing[next(iter(self._missing))]
        if missing.is_told or now - missing.since < self.lost_after:
            return
        missing.is_told = True
        self.telemetry.error(
            "venue_lost_order",
            order_id=str(order.id),
            venue_client_order_id=order.venue_client_order_id,
            venue_order_id=order.facts.venue_order_id,
            status=order.status,
            next="it is unchanged and looked up at growing intervals; ask the venue, then resolve it by hand",
        )

    def note_shown(self, venue_client_order_ids: Iterable[str]) -> None:
        """Note that the venue shows these orders."""
        for name in venue_client_order_ids:
            missing = self._missing.pop(name, None)
            if missing is not None and missing.is_told:
                self.telemetry.info("venue_lost_order_shown", venue_client_order_id=name)
