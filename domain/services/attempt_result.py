"""The result of one attempt to submit an order, and the results that need no policy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.model.order import CANCELED_BEFORE_SENDING, End
from domain.model.reports import OrderEnded, Report, SubmissionGivenUp, SubmissionInDoubt, SubmissionRefused
from domain.model.values import Reason, ReasonSource
from domain.ports.order_store import Claim
from domain.services.circuit_breaker import VenueSign


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The result of one attempt: reports about the order, how the attempt ended, what it shows about the venue."""

    outcome: str
    sign: VenueSign = VenueSign.NOTHING
    reports: Sequence[Report] = ()
    error: str | None = None
    counts: bool = True
    may_have_been_sent: bool = False
    next_in: timedelta | None = None


TOO_LATE = AttemptResult(
    outcome="too_late", error="the lease ran low before it was sent", counts=False, next_in=timedelta(0)
)


def held_back(claim: Claim, *, error: str, next_in: timedelta) -> AttemptResult:
    """Return the result for an order held back, by the circuit breaker that blocked after its claim or by the rate
    limit: it waits without using an attempt."""
    return AttemptResult(outcome="held_back", reports=doubts(claim), error=error, counts=False, next_in=next_in)


def rate_limited(retry_after: timedelta, *, reports: Sequence[Report] = ()) -> AttemptResult:
    """Return the result when the venue limits the rate: all workers wait for that pause."""
    return AttemptResult(
        outcome="rate_limited",
        sign=VenueSign.BUSY,
        reports=reports,
        error=f"too many requests for the venue; waiting {retry_after.total_seconds():.1f} s",
        counts=False,
        next_in=retry_after,
    )


def refused(claim: Claim, reason: Reason, *, sign: VenueSign = VenueSign.NOTHING) -> AttemptResult:
    """Return the result for an order that the venue refused and does not have."""
    report = SubmissionRefused(reason=reason, at=claim.claimed_at)
    return AttemptResult(outcome="refused", sign=sign, reports=[report])


def given_up(claim: Claim, *, code: str, message: str, error: str, sign: VenueSign) -> AttemptResult:
    """Return the result that gives an order up: the venue is known not to have it."""
    reason = Reason(source=ReasonSource.SYSTEM, code=code, message=message)
    report = SubmissionGivenUp(reason=reason, at=claim.claimed_at)
    return AttemptResult(outcome="given_up", sign=sign, reports=[report], error=error)


def canceled_before_sending(claim: Claim) -> AttemptResult:
    """Return the result for an order that the account canceled and the venue does not have: it is over."""
    report = OrderEnded(end=End.CANCELED, reason=CANCELED_BEFORE_SENDING, venue_order_id=None, at=claim.claimed_at)
    return AttemptResult(outcome="canceled", reports=[report], counts=False)


def doubts(claim: Claim) -> Sequence[Report]:
    """Return the report that an earlier attempt, perhaps a killed one, may have sent the order; none if none did."""
    if claim.loaded.maybe_sent_at is None:
        return ()
    return [in_doubt(claim, "The answer to the placement was lost.")]


def in_doubt(claim: Claim, message: str) -> SubmissionInDoubt:
    """Return the report that the order's outcome is unknown."""
    reason = Reason(source=ReasonSource.SYSTEM, code="OUTCOME_UNKNOWN", message=message)
    return SubmissionInDoubt(reason=reason, at=claim.claimed_at)
