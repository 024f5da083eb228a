"""The fourth story: cancel an order. Note the request for good, then bring it to the venue until it is answered.

An order that was never sent is canceled at once, here. One that may be at the venue is canceled only by the venue.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.changes import OrderSnapshot
from domain.ports import ChangePublisher, Clock, NewId, OrderReader, OrderStore, Venue, WakeUps
from domain.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequesting:
    """Takes cancel requests from accounts."""

    orders: OrderStore
    reader: OrderReader
    publisher: ChangePublisher
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Clock
    new_id: NewId

    async def request(self, order_id: UUID, *, account_id: str | None) -> OrderSnapshot:
        """Ask for the cancellation; the order as it stands then. Asked again while open, it changes nothing.

        `account_id` None may cancel for every account. Raises OrderNotFound, NotCancelable, Unavailable.
        """
        raise NotImplementedError
