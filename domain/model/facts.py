"""The facts of an order: the results of its own attempts, the reports of the venue and of operators. They only grow.

The meaning of each, and how the status is derived, is in `domain.model.order`.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum

from domain.model.cancel_requests import CancelRequests
from domain.model.frozen import frozen
from domain.model.operator_end import OperatorEnd
from domain.model.restatement import Restatement
from domain.model.values import ZERO, Reason


class SubmissionPhase(IntEnum):
    """The progress of submitting the order, according to our own attempts."""

    WAITING = 0
    SENT_UNKNOWN = 1
    GIVEN_UP = 2
    REFUSED = 3


class VenueRank(IntEnum):
    """The venue's highest report of the order."""

    NONE = 0
    ACCEPTED = 1
    WORKING = 2


class End(StrEnum):
    """A way in which the venue (or, before anything was sent, the account) ended the order."""

    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"


@frozen
class VenueCount:
    """How much of an order the venue counted as filled at a moment of its clock. A bust makes it fall."""

    at: datetime
    quantity: Decimal


@frozen
class Facts:
    """All facts about an order. None is ever removed, except by a bust or correction.

    `count` is the venue's newest count of an order that ended or was amended (of two at one time the larger one): the
    check of the recorded executions.

    `venue_order_id`, `ends`, `end_reasons`, `count` and `restatement` are those of the first venue order. Nearly always
    it is the only one; those that replaced it, by their ids at the venue, are the `successors`, and their combination
    is `domain.model.venue_chain.whole`. Quantity and notional are the sums over all.
    """

    phase: SubmissionPhase = SubmissionPhase.WAITING
    rank: VenueRank = VenueRank.NONE
    venue_order_id: str | None = None
    filled_quantity: Decimal = ZERO
    notional: Decimal = ZERO
    ends: frozenset[End] = frozenset()
    cancel: CancelRequests = CancelRequests()
    end_reasons: Mapping[End, Reason] = field(default_factory=dict)
    phase_reasons: Mapping[SubmissionPhase, Reason] = field(default_factory=dict)
    count: VenueCount | None = None
    operator_end: OperatorEnd | None = None
    restatement: Restatement | None = None
    successors: "Mapping[str, Successor]" = field(default_factory=dict)

    @property
    def venue_has_shown_something(self) -> bool:
        """Return whether the venue is known to have the order; then it is never sent again."""
        return self.rank > VenueRank.NONE or bool(self.ends) or self.filled_quantity > ZERO

    @property
    def operator_end_in_force(self) -> OperatorEnd | None:
        """Return the end by an operator, unless the venue has reported the order since."""
        end = self.operator_end
        return None if end is None or end.is_overruled else end

    @property
    def refusal(self) -> Reason | None:
        """The venue's refusal in an answer. Unless the phase is REFUSED, an earlier attempt may have placed it."""
        return self.phase_reasons.get(SubmissionPhase.REFUSED)


@frozen
class Successor:
    """A venue order that replaced another one of the same order of ours: in the broker's own UI, or by the venue.

    `facts` are those of this venue order only. `venue_client_order_id` is not one of ours; None until the venue order
    itself was reported. `linked_at` is the venue's earliest time of the replacement, by its clock. `completed` is the
    venue's largest count when it reported this order as filled; `ended_at` is when it ended.
    """

    replaces: str
    facts: Facts
    linked_at: datetime
    venue_client_order_id: str | None = None
    completed: Decimal | None = None
    ended_at: datetime | None = None

    @property
    def is_refused(self) -> bool:
        """Return whether the replacement was refused: then the replaced order continues."""
        return End.REJECTED in self.facts.ends and self.facts.filled_quantity == ZERO

    @property
    def is_over(self) -> bool:
        """Whether the venue has stated that it ended or was filled."""
        return bool(self.facts.ends) or self.completed is not None
