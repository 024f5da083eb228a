"""What can become known about an order after it was accepted: the venue's reports and our own findings.

Each is a fact in the past tense. They arrive at least once, late and in any order; `domain.model.apply_reports` says
what each does to an order.
"""

from datetime import datetime
from decimal import Decimal

from domain.model.executions import Trade
from domain.model.frozen import frozen
from domain.model.order import End, VenueRank
from domain.model.values import Reason


@frozen
class OrderAccepted:
    """The venue has the order. `rank` tells whether it is already working in the market."""

    venue_order_id: str
    rank: VenueRank
    at: datetime


@frozen
class OrderFilled:
    """One execution. `cumulative_quantity` is the venue's filled quantity after it, where the venue tells it."""

    venue_execution_id: str
    trade: Trade
    cumulative_quantity: Decimal | None
    venue_order_id: str | None
    at: datetime


@frozen
class ExecutionCorrected:
    """The venue changed an execution after the fact."""

    venue_execution_id: str
    trade: Trade
    at: datetime


@frozen
class ExecutionBusted:
    """The venue undid an execution after the fact."""

    venue_execution_id: str
    at: datetime


@frozen
class OrderEnded:
    """The order's life is over at the venue; or, with an ACCOUNT reason, it was canceled before it was ever sent."""

    end: End
    reason: Reason
    venue_order_id: str | None
    at: datetime


@frozen
class CancelRefused:
    """The venue refused to cancel. `request` is the number of the refused request, or None when the venue does not
    tell: then it refuses whatever had been sent."""

    reason: Reason
    request: int | None
    at: datetime


@frozen
class CancelAsked:
    """The account asked for a cancellation."""

    at: datetime


@frozen
class CancelSent:
    """A cancel request, by its number, was brought to the venue."""

    request: int
    at: datetime


@frozen
class PlacementBecameUnknown:
    """The order was sent and the answer was lost."""

    reason: Reason
    at: datetime


@frozen
class PlacementGivenUp:
    """Every attempt was used up, and the venue is known not to have the order."""

    reason: Reason
    at: datetime


Report = (
    OrderAccepted
    | OrderFilled
    | ExecutionCorrected
    | ExecutionBusted
    | OrderEnded
    | CancelRefused
    | CancelAsked
    | CancelSent
    | PlacementBecameUnknown
    | PlacementGivenUp
)
