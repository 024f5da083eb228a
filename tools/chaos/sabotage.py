"""Sabotages: each breaks one rule of the product in the process that runs it. A run with one must find violations.

`python -m tools.chaos.sabotage NAME` is a worker with that sabotage. The product contains nothing of it.
"""

import re
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import db.order_claimer
from domain.model.order import End
from domain.model.reports import OrderEnded
from domain.model.values import Reason, ReasonSource
from domain.ports.order_store import Claim
from domain.ports.venue_outcomes import AlreadyPlaced, Rejected
from domain.services.attempt_policy import AttemptPolicy, ProvingOutcome
from domain.services.attempt_result import AttemptResult
from domain.services.circuit_breaker import VenueSign
from domain.services.submission import Submission
from exchange.alpaca import outcomes, rest
from exchange.alpaca.http_answer import HttpAnswer

CLIENT_ERRORS = range(400, 500)
UNAUTHORIZED, TOO_MANY_REQUESTS = 401, 429
DUE = re.compile(r"(o\.\w+_due_at <=? now\(\))")

Patch = Callable[[object, str, object], None]
"""Replaces the attribute of that name; fails when there is none."""


def skip_look_ups(patch: Patch) -> None:
    """Send again without a look-up, as if the venue had answered that it does not have the order."""

    async def look_up(_self: Submission, _claim: Claim) -> None:
        return None

    patch(Submission, "_look_up", look_up)


def ignore_claims(patch: Patch) -> None:
    """Claim orders under the lease of another attempt: orders due within the hour count as due now."""
    for name in ("CLAIM", "CLAIM_DUE"):
        statement, changes = DUE.subn(r"\1 + interval '1 hour'", getattr(db.order_claimer, name))
        assert changes == 1, statement
        patch(db.order_claimer, name, statement)


def believe_refusals(patch: Patch) -> None:
    """Reject an order permanently on any 4xx that answers its submission, of the venue or a gateway."""
    outcome_of = outcomes.submission_outcome
    result_of = AttemptPolicy.result_of

    def submission_outcome(answer: HttpAnswer, *arguments: Any, **named: Any) -> object:
        outcome = outcome_of(answer, *arguments, **named)
        is_refusal = answer.status in CLIENT_ERRORS and answer.status not in {UNAUTHORIZED, TOO_MANY_REQUESTS}
        if not is_refusal or isinstance(outcome, AlreadyPlaced):
            return outcome
        reason = Reason(source=ReasonSource.VENUE, code="VENUE_REFUSED", message=outcomes.describe(answer))
        return Rejected(reason=reason)

    def believed(self: AttemptPolicy, claim: Claim, outcome: ProvingOutcome) -> AttemptResult:
        if not isinstance(outcome, Rejected):
            return result_of(self, claim, outcome)
        end = OrderEnded(end=End.REJECTED, reason=outcome.reason, venue_order_id=None, at=claim.claimed_at)
        return AttemptResult(outcome="refused", sign=VenueSign.WORKS, reports=[end])

    patch(rest, "submission_outcome", submission_outcome)
    patch(AttemptPolicy, "result_of", believed)


SABOTAGES: Mapping[str, Callable[[Patch], None]] = MappingProxyType(
    {"no-look-up": skip_look_ups, "claims-ignored": ignore_claims, "refusal-believed": believe_refusals}
)


def replace_attribute(owner: object, name: str, value: object) -> None:
    """Replace an attribute; raises AttributeError when the product no longer has it."""
    getattr(owner, name)
    setattr(owner, name, value)


def main(name: str) -> int:
    """Run a worker with that sabotage; return its exit code."""
    from tools.chaos import skewed_process  # noqa: PLC0415  # It imports the product's modules in their patched state.

    SABOTAGES[name](replace_attribute)
    return skewed_process.main("worker")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
