"""The facts of an order: what its own attempts, the venue and operators have shown of its fate. They only grow.

What each of them means, and how the status is read off them, is in `domain.model.order`.
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
    """How far bringing the order to the venue has come, as far as we know by ourselves."""

    WAITING = 0
    SENT_UNKNOWN = 1
    GIVEN_UP = 2
    REFUSED = 3


class VenueRank(IntEnum):
    """What the venue has shown of the order."""

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
    """All that is known of an order's fate. Nothing in here is ever taken back, except by a bust or correction.

    `count` is the venue's newest count of an order that ended or was amended (of two at one moment the larger one):
    the check on the executions that are recorded.

    `venue_order_id`, `ends`, `end_reasons`, `count` and `restatement` are those of the first venue order. Nearly always
    it is the only one; those that replaced it, by their ids at the venue, are the `successors`, and what all of them
    say together is `domain.model.venue_chain.whole`. Quantity and notional are the sums over all.
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
        """Whether there is any evidence that the venue knows the order; then it is never sent again."""
        return self.rank > VenueRank.NONE or bool(self.ends) or self.filled_quantity > ZERO

    @property
    def operator_end_in_force(self) -> OperatorEnd | None:
        """The end by an operator, unless the venue has shown the order again since."""
        end = self.operator_end
        return None if end is None or end.is_overruled else end

    @property
    def refusal(self) -> Reason | None:
        """The venue's refusal in an answer. Unless the phase is REFUSED, an earlier attempt may have placed it."""
        return self.phase_reasons.get(SubmissionPhase.REFUSED)


@frozen
class Successor:
    """A venue order that replaced another one of the same order of ours: in the broker's own UI, or by the venue.

    `facts` are those of this venue order alone. `venue_client_order_id` is not one of ours; None until the venue order
    itself was shown. `linked_at` is the earliest time that the venue stated for the replacement, by its clock.
    `completed` is what the venue counted when it called this order filled, the largest; `ended_at` is when it ended.
    """

    replaces: str
    facts: Facts
    linked_at: datetime
    venue_client_order_id: str | None = None
    completed: Decimal | None = None
    ended_at: datetime | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the replacement was refused: the order that it was to replace goes on."""
        return End.REJECTED in self.facts.ends and self.facts.filled_quantity == ZERO

    @property
    def is_over(self) -> bool:
        """Whether the venue has stated that it ended or was filled."""
        return bool(self.facts.ends) or self.completed is not None
