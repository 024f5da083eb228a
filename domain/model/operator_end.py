"""The end of an order by an operator, as the venue's statement says: stronger than absence, weaker than the venue."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from domain.model.frozen import frozen
from domain.model.values import Reason


class EndedAs(StrEnum):
    """As what an operator may end an order. FILLED is not among them: that is what its executions say."""

    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


@frozen
class OperatorEnd:
    """The newest end by an operator. `number` counts them, from 1.

    It holds until the venue shows the order again after `at`; then it is overruled for good, and a later one has the
    next number. An end that the venue itself states counts before it in any case.
    """

    number: int
    ended_as: EndedAs
    reason: Reason
    at: datetime
    is_overruled: bool = False

    def overruled(self) -> "OperatorEnd":
        """Return the end as one that no longer counts."""
        return replace(self, is_overruled=True)
