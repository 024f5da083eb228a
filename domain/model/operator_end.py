"""The end of an order by an operator, according to the venue's statement: stronger than absence, weaker than the
venue.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from domain.model.frozen import frozen
from domain.model.values import Reason


class EndedAs(StrEnum):
    """The possible ends by an operator. FILLED is not one of them: it follows from the executions."""

    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


@frozen
class OperatorEnd:
    """The newest end by an operator. `number` counts them, from 1.

    It applies until the venue reports the order after `at`; then it is overruled permanently, and a later one has the
    next number. An end reported by the venue takes precedence in any case.
    """

    number: int
    ended_as: EndedAs
    reason: Reason
    at: datetime
    is_overruled: bool = False

    def overruled(self) -> "OperatorEnd":
        """Return the end as one that no longer counts."""
        return replace(self, is_overruled=True)
