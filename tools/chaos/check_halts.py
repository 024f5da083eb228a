"""Invariant 8: no order is placed in a halted account. Pure.

A halt is checked from its acknowledgement to the time of the request to resume. A submission in transit at that time
may still arrive; the exchange's log has its time of arrival.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

from tools.chaos.arena_settings import LEASE_SECONDS
from tools.chaos.check_submissions import has_just_ended
from tools.chaos.evidence import Evidence, HaltPeriod
from tools.chaos.violations import Violation

UNDER_WAY_SECONDS = LEASE_SECONDS / 2
"""How long after a halt a submission that was claimed just before it may arrive: nothing is sent in the second half of
a lease."""


def check_halts(evidence: Evidence) -> Iterator[Violation]:
    """No order of a halted account is accepted from a client, and none arrives at the exchange."""
    halts = _by_account(evidence)
    for answer in evidence.place_answers:
        if answer.outcome != "ok" or answer.replayed:
            continue
        halt = _halt_at(halts.get(answer.account_id, []), answer.asked_at)
        if halt is not None and answer.answered_at < halt.ended:
            yield Violation(invariant=8, what="accepted in a halted account", subject=answer.client_order_id)
    accounts = {order.venue_client_order_id: order.account_id for order in evidence.orders}
    for request in evidence.requests:
        if not request.is_submission or any(has_just_ended(pause, request) for pause in evidence.pauses):
            continue
        halt = _halt_at(halts.get(accounts.get(request.order_id, ""), []), request.at)
        if halt is not None and request.at > halt.began + UNDER_WAY_SECONDS:
            yield Violation(invariant=8, what="submitted in a halted account", subject=request.order_id)


def _by_account(evidence: Evidence) -> dict[str, list[HaltPeriod]]:
    halts: defaultdict[str, list[HaltPeriod]] = defaultdict(list)
    for halt in sorted(evidence.halts, key=lambda each: each.began):
        halts[halt.account_id].append(halt)
    return halts


def _halt_at(halts: list[HaltPeriod], at: float) -> HaltPeriod | None:
    """Return the halt in force at that time; those of one account do not overlap."""
    place = bisect_right(halts, at, key=lambda each: each.began) - 1
    return halts[place] if place >= 0 and at < halts[place].ended else None
