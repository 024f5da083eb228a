"""The order and the whole rule about its state: facts that only grow, and the status derived from them.

The venue's messages come late, twice, out of order or not at all. So no message ever overwrites a status. Each one adds
a fact, and one pure function derives the status from the facts. Then messages commute and repeat harmlessly: any
permutation, with duplicates, of a list of reports has the same result (tests/domain/model/test_order_properties.py).

The facts:

- the placing phase (waiting, sent and unknown, given up, refused) and the venue's rank (none, accepted, working) only
  increase;
- executions are a set of legs known by the venue's execution id; filled quantity and notional are their exact sums;
- ends (canceled, expired, replaced, rejected) are a set;
- a cancel request is open while more requests were made than refused;
- an operator's end counts until the venue reports the order again (`domain.model.operator_end`);
- of the venue's restatements of the terms the latest counts;
- an order that the venue replaced continues as its replacement, by links that are a set (`venue_chain`).

Note that a fill may come before the acknowledgement, during a cancel, and after the end. It always counts. A refusal
read from an answer is not an end: it may answer the second of two requests, or come from a gateway. So it counts only
without any other report of the venue, like giving up and canceling before sending: an order that turns out to exist is
live again. The venue's order status `rejected` is an end, and no earlier report reverts it.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from domain.model.facts import End, Facts, SubmissionPhase, VenueCount, VenueRank
from domain.model.frozen import frozen
from domain.model.operator_end import EndedAs, OperatorEnd
from domain.model.values import EXACT, ZERO, Reason, ReasonSource, Terms, average_price
from domain.model.venue_chain import whole

__all__ = [
    "CANCELED_AS_ASKED",
    "CANCELED_BEFORE_SENDING",
    "FINAL_STATUSES",
    "End",
    "Facts",
    "Order",
    "OrderStatus",
    "SubmissionPhase",
    "VenueCount",
    "VenueRank",
    "derive_reason",
    "derive_status",
    "disagrees",
    "is_compared",
    "is_submission_over",
    "leaves_quantity",
    "with_facts",
]


class OrderStatus(StrEnum):
    """The status of an order; the meaning of each is in the public schema."""

    PENDING = "PENDING"
    IN_DOUBT = "IN_DOUBT"
    PLACED = "PLACED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether the order's life is over. A late fill can still raise the filled quantity."""
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.FAILED}
)


@frozen
class Order:
    """A stored order: its original terms, its facts, and the number of its changes.

    The venue knows it by `venue_client_order_id` (see `domain.model.order_identity`), which never changes. `status` is
    derived from the facts (see `derive_status`), once: writing and publishing read it often.
    """

    id: UUID
    account_id: str
    venue_client_order_id: str
    terms: Terms
    created_at: datetime
    updated_at: datetime
    version: int = 1
    facts: Facts = Facts()
    status: OrderStatus = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the status."""
        facts = whole(self.facts) if self.facts.successors else self.facts
        # As `quantity` does, without a call: an order is made for each fill.
        quantity = self.terms.quantity if facts.restatement is None else facts.restatement.quantity
        object.__setattr__(self, "status", derive_status(facts, quantity=quantity))

    @property
    def whole(self) -> Facts:
        """Return the facts of the order as a whole: of all its venue orders, where the first one was replaced."""
        return whole(self.facts)

    @property
    def quantity(self) -> Decimal:
        """Return the current quantity: the original one, unless the venue restated it."""
        restatement = self.whole.restatement
        return self.terms.quantity if restatement is None else restatement.quantity

    @property
    def current_terms(self) -> Terms:
        """Return the current terms: the original ones, unless the venue restated them."""
        restatement = self.whole.restatement
        return self.terms if restatement is None else restatement.applied_to(self.terms)

    @property
    def reason(self) -> Reason | None:
        """Return the reason of the order's status, where the status needs one."""
        return derive_reason(self.whole, status=self.status)

    @property
    def average_price(self) -> Decimal | None:
        """Notional divided by filled quantity; None before the first fill."""
        return average_price(notional=self.facts.notional, quantity=self.facts.filled_quantity)

    @property
    def leaves_quantity(self) -> Decimal:
        """What can still fill: zero once the order is final or overfilled."""
        return leaves_quantity(status=self.status, quantity=self.quantity, filled_quantity=self.facts.filled_quantity)


def disagrees(facts: Facts) -> bool:
    """Return whether the venue's filled quantity differs from the sum of the recorded executions.

    The facts are those of the order as a whole.
    """
    return facts.count is not None and facts.count.quantity != facts.filled_quantity


def is_compared(order: Order) -> bool:
    """Return whether the order is compared with the venue's: it is not final; or the venue counts another quantity, or
    more is recorded than was ordered, as by an execution that the venue lists again under the id of its correction."""
    if not order.status.is_final:
        return True
    return disagrees(order.whole) or order.facts.filled_quantity > order.quantity


def is_submission_over(facts: Facts) -> bool:
    """Return whether nothing is left to submit: the venue has the order, it ended, or it was given up or refused."""
    if facts.venue_has_shown_something or facts.phase >= SubmissionPhase.GIVEN_UP:
        return True
    return facts.operator_end_in_force is not None


def derive_status(facts: Facts, *, quantity: Decimal) -> OrderStatus:
    """Read the status off the facts: the first rule that matches, in the design's order.

    Plain branches and no table: this runs several times for each report that is recorded.
    """
    if facts.filled_quantity >= quantity:
        return OrderStatus.FILLED
    if facts.ends and (ended := _status_of_the_end(facts)) is not None:
        return ended
    if facts.operator_end is not None and not facts.operator_end.is_overruled:
        return _status_of_the_operator(facts.operator_end, filled_quantity=facts.filled_quantity)
    # What the venue does not have, it will never confirm as canceled.
    if facts.phase >= SubmissionPhase.GIVEN_UP and not facts.venue_has_shown_something:
        return OrderStatus.REJECTED if facts.phase is SubmissionPhase.REFUSED else OrderStatus.FAILED
    if facts.cancel.is_open:
        return OrderStatus.PENDING_CANCEL
    if facts.filled_quantity > ZERO:
        return OrderStatus.PARTIALLY_FILLED
    if facts.rank >= VenueRank.ACCEPTED:
        return OrderStatus.PLACED
    return OrderStatus.IN_DOUBT if facts.phase is SubmissionPhase.SENT_UNKNOWN else OrderStatus.PENDING


def _status_of_the_end(facts: Facts) -> OrderStatus | None:
    if _is_canceled(facts):
        return OrderStatus.CANCELED
    if End.EXPIRED in facts.ends:
        return OrderStatus.EXPIRED
    if End.REJECTED not in facts.ends:
        return None
    # A venue that rejects after a fill has ended the remainder: the order has ended, with its fill.
    return OrderStatus.REJECTED if facts.filled_quantity == ZERO else OrderStatus.CANCELED


def _status_of_the_operator(end: OperatorEnd, *, filled_quantity: Decimal) -> OrderStatus:
    """As a rejection after a fill: it is over, and it did fill."""
    if end.ended_as is EndedAs.EXPIRED:
        return OrderStatus.EXPIRED
    return OrderStatus(end.ended_as.value) if filled_quantity == ZERO else OrderStatus.CANCELED


def _is_canceled(facts: Facts) -> bool:
    """Return whether it was canceled by the venue; or by us as never sent, until the venue reports that it has it."""
    if End.REPLACED in facts.ends:
        return True
    reason = facts.end_reasons.get(End.CANCELED)
    by_us = reason is not None and reason.source is ReasonSource.ACCOUNT
    return End.CANCELED in facts.ends and not (by_us and facts.rank > VenueRank.NONE)


def derive_reason(facts: Facts, *, status: OrderStatus) -> Reason | None:
    """Find the reason that belongs to the status, by the same precedence as the status itself."""
    if facts.operator_end is not None and status in FINAL_STATUSES and (reason := _operators_reason(facts, status)):
        return reason
    if status is OrderStatus.IN_DOUBT:
        return facts.phase_reasons.get(SubmissionPhase.SENT_UNKNOWN)
    if status is OrderStatus.FAILED:
        return facts.phase_reasons.get(SubmissionPhase.GIVEN_UP)
    if status is OrderStatus.REJECTED and End.REJECTED not in facts.ends:
        return facts.refusal
    if status is OrderStatus.CANCELED and End.CANCELED in facts.ends and facts.cancel.is_open:
        by_us = facts.end_reasons.get(End.CANCELED) == CANCELED_BEFORE_SENDING
        return CANCELED_BEFORE_SENDING if by_us else CANCELED_AS_ASKED
    if not facts.end_reasons:
        return None
    ends = _ENDS_BEHIND.get(status, ())
    return next((facts.end_reasons[end] for end in ends if end in facts.end_reasons), None)


def _operators_reason(facts: Facts, status: OrderStatus) -> Reason | None:
    """Return the reason of an operator's end, where the status is derived from it."""
    end = facts.operator_end_in_force
    if end is None or status is OrderStatus.FILLED or _status_of_the_end(facts) is not None:
        return None
    return end.reason


CANCELED_AS_ASKED = Reason(
    source=ReasonSource.ACCOUNT, code="CANCEL_REQUESTED", message="Canceled as the account asked."
)
CANCELED_BEFORE_SENDING = Reason(
    source=ReasonSource.ACCOUNT, code="CANCEL_REQUESTED", message="Canceled before it reached the venue."
)
_ENDS_BEHIND: Mapping[OrderStatus, tuple[End, ...]] = {
    OrderStatus.CANCELED: (End.CANCELED, End.REPLACED, End.REJECTED),
    OrderStatus.EXPIRED: (End.EXPIRED,),
    OrderStatus.REJECTED: (End.REJECTED,),
}


def leaves_quantity(*, status: OrderStatus, quantity: Decimal, filled_quantity: Decimal) -> Decimal:
    """Return the quantity that can still fill (FIX tag 151): zero for a final order, never negative."""
    if status.is_final:
        return ZERO
    if not filled_quantity:
        return quantity
    return max(EXACT.subtract(quantity, filled_quantity), ZERO)


def with_facts(order: Order, facts: Facts, *, at: datetime) -> Order:
    """Return the order one version later, with new facts."""
    return replace(order, facts=facts, version=order.version + 1, updated_at=at)
