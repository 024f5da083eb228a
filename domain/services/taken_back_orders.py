"""Orders that the venue calls filled, and of which it has taken executions back: an alert is logged.

They go on nowhere at the venue, and stay open here: only a person can learn how they ended, and end them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.ports.order_store import LoadedOrder
from domain.ports.telemetry import Telemetry
from domain.ports.venue import VenueOrder
from domain.services.look_up_schedule import PUT_OFF_MAX
from domain.services.venue_answers import is_filled_and_taken_back


@dataclass(slots=True, kw_only=True)
class TakenBackOrders:
    """Logs each such order once; `_logged` are their names, at most as many as can be put off."""

    telemetry: Telemetry
    _logged: dict[str, None] = field(default_factory=dict)

    def note_shown(self, row: LoadedOrder, shown: Iterable[VenueOrder]) -> None:
        """Note what the venue shows of the order, after it is recorded."""
        order = row.order
        name = order.venue_client_order_id
        newest = next((one for one in shown if one.venue_order_id == order.whole.venue_order_id), None)
        if order.status.is_final or newest is None or not is_filled_and_taken_back(order, newest):
            return
        if name in self._logged:
            return
        self._logged[name] = None
        if len(self._logged) > PUT_OFF_MAX:
            del self._logged[next(iter(self._logged))]
        self.telemetry.error(
            "order_taken_back",
            order_id=str(order.id),
            venue_client_order_id=name,
            venue_order_id=newest.venue_order_id,
            status=order.status,
            recorded=str(order.facts.filled_quantity),
            next="it stays open here; ask the venue how it ended, then end it by hand",
        )
