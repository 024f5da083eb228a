"""Watches for what no event tells: orders that nobody brings to the exchange, or whose outcome stays unknown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from db.waiting_orders import WaitingOrder
from domain.ports.telemetry import Telemetry
from jobs.periodic import repeat

ORDERS_PER_LOOK_MAX = 500
IN_DOUBT_TOO_LONG = "order_in_doubt_too_long"
PENDING_TOO_LONG = "order_pending_too_long"


class WaitingOrders(Protocol):
    """What the watch asks."""

    async def waiting(self, *, in_doubt_for: timedelta, pending_for: timedelta, limit: int) -> Sequence[WaitingOrder]:
        """Orders in doubt, or not sent yet, for longer than this."""


@dataclass(slots=True, kw_only=True)
class OrderWatch:
    """Says once of each order that it waits too long, and again after `again_after` while it does."""

    orders: WaitingOrders
    telemetry: Telemetry
    clock: Callable[[], float]
    interval: timedelta
    in_doubt_for: timedelta
    pending_for: timedelta
    again_after: timedelta
    _said: dict[tuple[str, UUID], float] = field(default_factory=dict)

    async def run(self) -> None:
        """Look until cancelled."""
        await repeat(self.look, every=self.interval, name="order_watch", telemetry=self.telemetry)

    async def look(self) -> bool:
        """Look once."""
        waiting = await self.orders.waiting(
            in_doubt_for=self.in_doubt_for, pending_for=self.pending_for, limit=ORDERS_PER_LOOK_MAX
        )
        now = self.clock()
        recent = now - self.again_after.total_seconds()
        self._said = {key: said_at for key, said_at in self._said.items() if said_at > recent}
        for order in waiting:
            self._say(order, now)
        return False

    def _say(self, order: WaitingOrder, now: float) -> None:
        event = IN_DOUBT_TOO_LONG if order.is_in_doubt else PENDING_TOO_LONG
        if (event, order.id) in self._said:
            return
        self._said[event, order.id] = now
        self.telemetry.error(
            event,
            order_id=str(order.id),
            age_seconds=round(order.age.total_seconds()),
            next="looked up until there is evidence; do not place it again"
            if order.is_in_doubt
            else "tried until it is placed or its attempts are used up; see placement_attempts_total",
        )
