"""The attempt policy: what each answer of the venue proves about an order, and its consequences.

It returns results and logs problems for people; `domain.services.submission` looks up, sends and records.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from domain.model.errors import VenueBusyError, VenueNotConnectedError, VenueUnreachableError
from domain.model.reports import Report
from domain.model.values import Reason
from domain.ports.order_store import Claim
from domain.ports.telemetry import Telemetry
from domain.ports.venue import VenueOrder
from domain.ports.venue_outcomes import (
    EndedAtOnce,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    Placed,
    RateLimited,
    Rejected,
    Unauthorized,
)
from domain.services.attempt_result import (
    AttemptResult,
    doubts,
    given_up,
    held_back,
    in_doubt,
    rate_limited,
    refused,
)
from domain.services.circuit_breaker import VenueSign

ProvingOutcome = Placed | EndedAtOnce | NotExecuted | NotSent | RateLimited | OutcomeUnknown | Rejected | Unauthorized
"""Every outcome that is a result by itself; AlreadyPlaced needs a look-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionPolicy:
    """Limits and times of submitting an order. `settle` is how long a new order may be missing from look-ups;
    `lease` must be longer than two look-ups and one send can take. An order older than `max_age` is no longer sent.
    """

    max_attempts: int
    backoff: timedelta
    backoff_max: timedelta
    settle: timedelta
    lease: timedelta
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptPolicy:
    """The rules that turn answers into results. `random` returns a number from 0 to 1, the jitter of the back-off."""

    policy: SubmissionPolicy
    telemetry: Telemetry
    random: Callable[[], float]

    def result_of(self, claim: Claim, outcome: ProvingOutcome) -> AttemptResult:
        """Return what the venue's answer proves."""
        match outcome:
            case Placed(report=report):
                return AttemptResult(outcome="placed", sign=VenueSign.WORKS, reports=[report])
            case EndedAtOnce(report=end):
                return AttemptResult(outcome="ended", sign=VenueSign.WORKS, reports=[end])
            case Rejected(reason=reason):
                return self._refused_in_answer(claim, reason)
            case NotExecuted(error=error):
                return self._not_executed(claim, error)
            case NotSent(error=error):
                return self._not_sent(claim, error)
            case OutcomeUnknown():
                return self._sent(claim, outcome)
            case RateLimited(retry_after=retry_after):
                return rate_limited(retry_after)
            case Unauthorized(error=error):
                return replace(self.unauthorized(error), may_have_been_sent=True)

    def _sent(self, claim: Claim, outcome: OutcomeUnknown) -> AttemptResult:
        """Return the result when the answer to a submission proves nothing; one that requests a pause costs no
        attempt.
        """
        unknown = self.unknown(claim, outcome.error, may_have_been_sent=True)
        if outcome.retry_after is None:
            return unknown
        return replace(unknown, sign=VenueSign.BUSY, counts=False, next_in=outcome.retry_after)

    def _refused_in_answer(self, claim: Claim, reason: Reason) -> AttemptResult:
        """Return the result for a refusal. It decides at once only if no earlier attempt may have sent the order.

        The settle time starts again: the refused one may be the second of two concurrent requests.
        """
        if claim.loaded.maybe_sent_at is None:
            return refused(claim, reason, sign=VenueSign.WORKS)
        message = "The venue refused the order in a later answer; an earlier attempt may have placed it."
        return AttemptResult(
            outcome="refused_in_doubt",
            sign=VenueSign.WORKS,
            reports=[replace(in_doubt(claim, message), refusal=reason)],
            error=f"refused, but an earlier attempt may have placed it: {reason.message}",
            may_have_been_sent=True,
            next_in=self.policy.settle,
        )

    def adopted(self, claim: Claim, found: VenueOrder) -> AttemptResult:
        """Return the result for an order that the venue shows: its reports, if it is the same order at all."""
        if found.terms is not None and claim.order.current_terms.is_at_venue_as(found.terms):
            return AttemptResult(outcome="found", sign=VenueSign.WORKS, reports=found.reports)
        self.telemetry.error(
            "venue_order_mismatch",
            order_id=str(claim.order.id),
            venue_client_order_id=claim.order.venue_client_order_id,
            venue_order_id=found.venue_order_id,
            next="not adopted and not sent again; compare both orders and decide by hand",
        )
        error = "the venue has a different order under this order's id"
        return AttemptResult(
            outcome="mismatch",
            reports=[in_doubt(claim, "The venue has a different order under this order's id.")],
            error=error,
            counts=False,
            next_in=self.policy.backoff_max,
        )

    def not_shown(self, claim: Claim) -> AttemptResult:
        """Return the result for an order that the venue reports to have and a look-up does not find.

        A new order may be missing yet; after the settle time it is a contradiction.
        """
        if claim.loaded.maybe_sent_at is not None:
            self.telemetry.error(
                "venue_contradicts_itself",
                order_id=str(claim.order.id),
                venue_client_order_id=claim.order.venue_client_order_id,
                next="stays in doubt and is looked up again; ask the venue whether it has the order",
            )
        hidden = self.unknown(claim, "the venue has it, but does not show it yet", may_have_been_sent=True)
        return replace(hidden, sign=VenueSign.NOTHING, counts=False)

    def not_asked(self, claim: Claim, error: VenueUnreachableError) -> AttemptResult:
        """Return the result for an order that the venue reports to have when the look-up failed.

        Such an attempt does not count: an order that the venue reports to have is never given up for its attempts.
        """
        claimed = self.unknown(claim, f"the venue has it, and the look-up failed: {error}", may_have_been_sent=True)
        sign = VenueSign.NOTHING if isinstance(error, VenueBusyError) else claimed.sign
        return replace(claimed, counts=False, sign=sign)

    def not_looked_up(self, claim: Claim, error: VenueUnreachableError) -> AttemptResult:
        """Return the result of a failed look-up: it proves nothing. One that was not made uses no attempt. An order
        that was never sent may be given up."""
        if claim.loaded.maybe_sent_at is not None:
            return replace(self.unknown(claim, str(error)), counts=not isinstance(error, VenueNotConnectedError))
        if self.is_too_old(claim):
            return self.too_old(claim, sign=VenueSign.FAILS)
        if isinstance(error, VenueNotConnectedError):
            return self._not_sent(claim, str(error))
        return self._not_executed(claim, str(error))

    def held_back_by_limit(self, claim: Claim, error: str, *, retry_after: timedelta) -> AttemptResult:
        """Return the result when the shared rate limit left no request: the attempt does not count."""
        return held_back(claim, error=error, next_in=retry_after + self._backoff(claim))

    def settling(self, claim: Claim) -> AttemptResult | None:
        """Return the result for an order not found within the settle time; None when it may be sent."""
        if claim.loaded.maybe_sent_at is None:
            return None
        wait = claim.loaded.maybe_sent_at + self.policy.settle - claim.claimed_at
        if wait <= timedelta(0):
            return None
        return AttemptResult(
            outcome="settling",
            reports=doubts(claim),
            error="not found at the venue yet; too early to be sure",
            counts=False,
            next_in=wait,
        )

    def halted(self, claim: Claim) -> AttemptResult:
        """Return the result under a halt: an order that was never sent is due again soon, any other is in doubt."""
        return AttemptResult(
            outcome="halted",
            reports=doubts(claim),
            error="trading is halted for the account: not sent before it is resumed",
            counts=False,
            next_in=self.policy.backoff if claim.loaded.maybe_sent_at is None else self.policy.backoff_max,
        )

    def not_checked(self, claim: Claim, *, outcome: str, error: str) -> AttemptResult:
        """Return the result when the database did not answer a check before sending: nothing is sent."""
        return AttemptResult(
            outcome=outcome, reports=doubts(claim), error=error, counts=False, next_in=self._backoff(claim)
        )

    def unauthorized(self, error: str, *, reports: Sequence[Report] = ()) -> AttemptResult:
        """Return the result of an attempt whose key the venue refused: no order's fault, so it does not count.

        The adapter logs `venue_unauthorized`, as it does for every caller.
        """
        return AttemptResult(
            outcome="unauthorized",
            sign=VenueSign.FAILS,
            reports=reports,
            error=error,
            counts=False,
            next_in=self.policy.backoff_max,
        )

    def _not_executed(self, claim: Claim, error: str) -> AttemptResult:
        if claim.loaded.attempts >= self.policy.max_attempts:
            return self.used_up(claim, error=error, sign=VenueSign.FAILS)
        return AttemptResult(outcome="not_executed", sign=VenueSign.FAILS, error=error, next_in=self._backoff(claim))

    def _not_sent(self, claim: Claim, error: str) -> AttemptResult:
        """Return the result without a connection, as in a maintenance of the venue: the attempt does not count."""
        return AttemptResult(
            outcome="not_sent", sign=VenueSign.FAILS, error=error, counts=False, next_in=self._backoff(claim)
        )

    def unknown(self, claim: Claim, error: str, *, may_have_been_sent: bool = False) -> AttemptResult:
        """Return the result for an order in doubt: it is looked up again after the back-off."""
        return AttemptResult(
            outcome="unknown",
            sign=VenueSign.FAILS,
            reports=[in_doubt(claim, f"The outcome of the placement is not known: {error}.")],
            error=error,
            may_have_been_sent=may_have_been_sent,
            next_in=self._backoff(claim),
        )

    def used_up(self, claim: Claim, *, error: str, sign: VenueSign = VenueSign.NOTHING) -> AttemptResult:
        """Return the result that gives the order up: no attempt is left, and the venue does not have it."""
        message = (
            f"Not placed after {self.policy.max_attempts} attempts; the venue does not have it. Last error: {error}"
        )
        return given_up(claim, code="ATTEMPTS_USED_UP", message=message, error=error, sign=sign)

    def is_too_old(self, claim: Claim) -> bool:
        """Return whether the order was stored too long ago to be sent now."""
        max_age = self.policy.max_age
        return max_age is not None and claim.claimed_at - claim.order.created_at > max_age

    def too_old(self, claim: Claim, *, sign: VenueSign = VenueSign.NOTHING) -> AttemptResult:
        """Return the result that gives the order up for its age; the venue does not have it."""
        age = (claim.claimed_at - claim.order.created_at).total_seconds()
        message = f"Not sent any more: the order is {age:.0f} s old; the venue does not have it."
        return given_up(claim, code="TOO_OLD", message=message, error="too old to be sent", sign=sign)

    def _backoff(self, claim: Claim) -> timedelta:
        """Return an exponential delay, capped, with jitter between half and the whole of it, to spread retries."""
        exponent = min(max(claim.loaded.attempts - 1, 0), 30)
        delay: timedelta = min(self.policy.backoff * 2**exponent, self.policy.backoff_max)
        return timedelta(seconds=delay.total_seconds() * (0.5 + self.random() / 2))
