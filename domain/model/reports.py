"""Reports about a stored order: the venue's, and those of our own attempts.

Each is a fact in the past tense. They arrive at least once, late and in any order; `domain.model.apply_reports` defines
what each does to an order.
"""

from datetime import datetime
from decimal import Decimal

from domain.model.executions import Trade
from domain.model.frozen import frozen
from domain.model.order import End, VenueRank
from domain.model.restatement import Restatement
from domain.model.values import Reason


@frozen
class OrderAccepted:
    """The venue has the order. `rank` says whether it is already working in the market."""

    venue_order_id: str
    rank: VenueRank
    at: datetime


@frozen
class OrderFilled:
    """One execution. `cumulative_quantity` is the venue's filled quantity after it, None if the venue omits it."""

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
    """The venue canceled an execution after the fact."""

    venue_execution_id: str
    at: datetime


@frozen
class OrderEnded:
    """The order ended at the venue, by its status there; or, with an ACCOUNT reason, it was canceled before it was ever
    sent."""

    end: End
    reason: Reason
    venue_order_id: str | None
    at: datetime


@frozen
class OrderRestated:
    """The venue changed the order's terms."""

    venue_order_id: str
    restatement: Restatement

    @property
    def at(self) -> datetime:
        """When, by the venue's clock."""
        return self.restatement.at


@frozen
class CancelRefused:
    """The venue refused to cancel. `request` is the number of the refused request; None, if the venue omits it, refuses
    every request that was sent."""

    reason: Reason
    request: int | None
    at: datetime


@frozen
class CancelRequested:
    """The account requested a cancellation."""

    at: datetime


@frozen
class CancelSent:
    """The cancel request with this number was delivered to the venue."""

    request: int
    at: datetime


@frozen
class SubmissionInDoubt:
    """The order was sent, or may have been, and its outcome is unknown.

    `refusal` is the venue's reason in an answer to a later attempt. It is kept, and decides once the venue is known not
    to have the order.
    """

    reason: Reason
    at: datetime
    refusal: Reason | None = None


@frozen
class SubmissionRefused:
    """The venue refused the order in an answer, and no earlier attempt placed it."""

    reason: Reason
    at: datetime


@frozen
class SubmissionGivenUp:
    """No attempt is left, and the venue is known not to have the order."""

    reason: Reason
    at: datetime


Report = (
    OrderAccepted
    | OrderFilled
    | ExecutionCorrected
    | ExecutionBusted
    | OrderEnded
    | OrderRestated
    | CancelRefused
    | CancelRequested
    | CancelSent
    | SubmissionInDoubt
    | SubmissionRefused
    | SubmissionGivenUp
)
