"""What the venue's answer to a submission or to a cancel request proves."""

from dataclasses import dataclass
from datetime import timedelta

from domain.model.reports import OrderAccepted, OrderEnded
from domain.model.values import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The venue accepted the order."""

    report: OrderAccepted


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAtOnce:
    """The venue has the order, and it ended immediately: its status there is rejected."""

    report: OrderEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyPlaced:
    """The venue reports that it has an order with this id: an earlier attempt arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotExecuted:
    """Proved not to have been executed: the connection was never made, or the venue declares it."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """There was no connection: no request was made."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited:
    """Not executed: too many requests. Every worker waits for `retry_after`."""

    retry_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeUnknown:
    """Sent, and the answer proves nothing. `retry_after` is the requested pause, if there were too many requests."""

    error: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The venue refuses this order in its answer. An earlier attempt may have placed it all the same."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorized:
    """The venue, or a gateway in front of it, refuses our key or account: the order waits until that is fixed. It may
    have been placed all the same: a gateway may answer so after it has forwarded the request."""

    error: str


SubmissionOutcome = (
    Placed
    | EndedAtOnce
    | AlreadyPlaced
    | NotExecuted
    | NotSent
    | RateLimited
    | OutcomeUnknown
    | Rejected
    | Unauthorized
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTaken:
    """The venue accepted the request; the stream reports whether the order is canceled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelNotPossible:
    """The venue refuses the request: the order has ended, or cannot be canceled."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelUnknown:
    """No usable answer. Canceling twice is harmless, so the request is sent again."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPostponed:
    """Not executed: the shared rate limit left no request, or the venue has too many."""

    error: str
    retry_after: timedelta


CancelOutcome = CancelTaken | CancelNotPossible | CancelUnknown | CancelPostponed
