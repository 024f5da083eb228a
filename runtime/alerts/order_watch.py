"""Watches for problems without an event: orders that are not sent to the exchange, or whose outcome stays unknown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from db.waiting_orders import FIRST, Place, WaitingOrder
from domain.ports.telemetry import Telemetry
from jobs.periodic import repeat

ORDERS_PER_CHECK_MAX = 500
IN_DOUBT_TOO_LONG = "order_in_doubt_too_long"
PENDING_TOO_LONG = "order_pending_too_long"


class WaitingOrders(Protocol):
    """The query that the watch runs."""

    async def waiting(
        self, *, in_doubt_for: timedelta, pending_for: timedelta, limit: int, after: Place = FIRST
    ) -> Sequence[WaitingOrder]:
        """Return orders in doubt, or not sent yet, for longer than this, those behind a place."""


@dataclass(slots=True, kw_only=True)
class OrderWatch:
    """Logs each order that waits too long once, and again after `again_after` while it does.

    A check reads ORDERS_PER_CHECK_MAX orders from `_after` on, where the last one ended: orders that wait during a halt
    would hide all behind them.
    """

    orders: WaitingOrders
    telemetry: Telemetry
    clock: Callable[[], float]
    interval: timedelta
    in_doubt_for: timedelta
    pending_for: timedelta
    again_after: timedelta
    _logged_at: dict[tuple[str, UUID], float] = field(default_factory=dict)
    _after: Place = FIRST

    async def run(self) -> None:
        """Check until cancelled."""
        await repeat(self.check, every=self.interval, name="order_watch", telemetry=self.telemetry)

    async def check(self) -> bool:
        """Check once."""
        waiting = await self.orders.waiting(
            in_doubt_for=self.in_doubt_for,
            pending_for=self.pending_for,
            limit=ORDERS_PER_CHECK_MAX,
            after=self._after,
        )
        self._after = waiting[-1].place if len(waiting) == ORDERS_PER_CHECK_MAX else FIRST
        now = self.clock()
        recent = now - self.again_after.total_seconds()
        self._logged_at = {key: logged_at for key, logged_at in self._logged_at.items() if logged_at > recent}
        for order in waiting:
            self._log(order, now)
        return False

    def _log(self, order: WaitingOrder, now: float) -> None:
        event = IN_DOUBT_TOO_LONG if order.is_in_doubt else PENDING_TOO_LONG
        if (event, order.id) in self._logged_at:
            return
        self._logged_at[event, order.id] = now
        self.telemetry.error(
            event,
            order_id=str(order.id),
            venue_client_order_id=order.venue_client_order_id,
            age_seconds=round(order.age.total_seconds()),
            next="looked up until its outcome is known; do not place it again"
            if order.is_in_doubt
            else "tried until it is placed or its attempts are used up; see submission_attempts_total",
        )
