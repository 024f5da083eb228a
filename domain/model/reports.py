"""Reports about a stored order: the venue's, those of our own attempts, and those of operators.

Each is a fact in the past tense. They arrive at least once, late and in any order; `domain.model.apply_reports` defines
the effect of each on an order.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.model.executions import Trade
from domain.model.facts import End, VenueCount, VenueRank
from domain.model.frozen import frozen
from domain.model.operator_end import EndedAs
from domain.model.restatement import Restatement
from domain.model.values import Reason


@frozen
class OrderAccepted:
    """The venue has the order. `rank` says whether it is already open in the market."""

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
    """The venue changed an execution after the fact.

    `amendment_id` is the correction's own id, by which the venue may list and amend the execution from then on.
    """

    venue_execution_id: str
    trade: Trade
    at: datetime
    amendment_id: str | None = None
    count: VenueCount | None = None
    venue_order_id: str | None = None


@frozen
class ExecutionBusted:
    """The venue canceled an execution after the fact. `amendment_id` is the bust's own id."""

    venue_execution_id: str
    at: datetime
    amendment_id: str | None = None
    count: VenueCount | None = None
    venue_order_id: str | None = None


@frozen
class OrderEnded:
    """The order ended at the venue, by its status there; or, with an ACCOUNT reason, it was canceled before it was
    ever sent. `count` is the venue's filled quantity, None if it omits that.
    """

    end: End
    reason: Reason
    venue_order_id: str | None
    at: datetime
    count: VenueCount | None = None


@frozen
class FilledQuantityCounted:
    """The venue showed how much it counts as filled of the order, which is over there."""

    venue_order_id: str
    count: VenueCount

    @property
    def at(self) -> datetime:
        """When, by the venue's clock."""
        return self.count.at


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
class OrderReplaced:
    """At the venue the order `venue_order_id` replaces the order `replaces`, which is ours, or replaced one of ours.

    Either of the two shows that. The new one also shows its `venue_client_order_id`, its terms and, once the venue
    calls it filled, what it counts then (`completed`). `at` is when it was replaced, by the venue's clock.
    """

    venue_order_id: str
    replaces: str
    at: datetime
    venue_client_order_id: str | None = None
    restatement: Restatement | None = None
    completed: Decimal | None = None


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

    `refusal` is the venue's reason in an answer to a later attempt. It is stored, and decides once the venue is known
    not to have the order.
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


@frozen
class OrderShownOpen:
    """A look-up at `at`, by our clock, returned the order as open: that outranks an earlier end by an operator."""

    at: datetime


@frozen
class OrderAdopted:
    """An operator linked the order to the venue's, which was found there and compared."""

    venue_order_id: str
    rank: VenueRank
    at: datetime


@frozen
class ExecutionBooked:
    """An operator booked an execution that the venue does not list.

    `venue_execution_id` is the venue's id for it, where the operator knows that. `at` is when it was executed.
    `venue_order_id` is the venue order that it is of, if that replaced the first one; None for the first one.
    """

    booking_id: UUID
    venue_execution_id: str | None
    trade: Trade
    at: datetime
    booked_at: datetime
    venue_order_id: str | None = None

    @property
    def name(self) -> str:
        """Return the id under which it is stored: not one of the venue's, which lists it under its own."""
        return f"booked:{self.booking_id.hex}"


@frozen
class OperatorBusted:
    """An operator busted an execution, by the id under which it is stored."""

    venue_execution_id: str
    at: datetime


@frozen
class OperatorEnded:
    """An operator ended the order according to the venue's statement."""

    ended_as: EndedAs
    reason: Reason
    at: datetime


OperatorReport = OrderAdopted | ExecutionBooked | OperatorBusted | OperatorEnded

Report = (
    OrderAccepted
    | OrderFilled
    | ExecutionCorrected
    | ExecutionBusted
    | OrderEnded
    | FilledQuantityCounted
    | OrderRestated
    | OrderReplaced
    | CancelRefused
    | CancelRequested
    | CancelSent
    | SubmissionInDoubt
    | SubmissionRefused
    | SubmissionGivenUp
    | OrderShownOpen
    | OperatorReport
)
