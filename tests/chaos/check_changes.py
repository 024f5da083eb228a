"""Invariants 4 and 6: statuses, versions and sequences; attempts under leases and leaders by epoch. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.evidence import Evidence, PlacingStep, StoredChange
from tests.chaos.violations import Violation


def check_changes(evidence: Evidence) -> Iterator[Violation]:
    """Each status is what the facts derive; versions rise by 1; each account's sequence has no gap."""
    by_order: defaultdict[str, list[StoredChange]] = defaultdict(list)
    by_account: defaultdict[str, list[int]] = defaultdict(list)
    for change in evidence.changes:
        by_order[change.order_id].append(change)
        by_account[change.account_id].append(change.sequence)
    for order in evidence.orders:
        if order.status != order.derived_status:
            what = f"status {order.status}, and its facts give {order.derived_status}"
            yield Violation(invariant=4, what=what, subject=order.id)
        history = sorted(by_order[order.id], key=lambda change: change.sequence)
        if [change.version for change in history] != list(range(1, order.version + 1)):
            yield Violation(invariant=4, what="versions do not rise by 1 to the order's own", subject=order.id)
        elif (history[-1].status, history[-1].filled_quantity) != (order.status, order.filled_quantity):
            yield Violation(invariant=4, what="the last change is not the order's state", subject=order.id)
    for account_id in evidence.sequences.keys() | by_account.keys():
        numbers = sorted(by_account[account_id])
        if numbers != list(range(1, evidence.sequences.get(account_id, 0) + 1)):
            yield Violation(invariant=4, what="the account's sequence has a gap", subject=account_id)


def check_attempts(evidence: Evidence) -> Iterator[Violation]:
    """At most one attempt is active under a lease, and nothing is written by an older attempt or leader."""
    for step in evidence.placing_steps:
        what = _wrong_step(step)
        if what is not None:
            yield Violation(invariant=6, what=what, subject=step.order_id)
    for leader in evidence.leader_steps:
        if leader.epoch < leader.epoch_before:
            yield Violation(invariant=6, what="written by an older leader", subject=f"epoch {leader.epoch}")
        if leader.moment_before is not None and (leader.moment or 0.0) < leader.moment_before:
            yield Violation(invariant=6, what="the stream's position went back", subject=f"epoch {leader.epoch}")


def _wrong_step(step: PlacingStep) -> str | None:
    if step.attempt not in (step.attempt_before, step.attempt_before + 1):
        return f"attempt {step.attempt} follows attempt {step.attempt_before}"
    is_claim = step.attempt > step.attempt_before
    if is_claim and step.was_over:
        return "claimed, and placing was over"
    if is_claim and step.lease_left_seconds is not None and step.lease_left_seconds > 0:
        return "claimed under somebody else's lease"
    had_lease = step.lease_left_seconds is not None
    if not is_claim and not had_lease and not step.was_over and (step.attempts_changed or step.maybe_sent_changed):
        return "an attempt ended that held no lease"
    if not is_claim and step.is_leased and not had_lease:
        return "a lease without a claim"
    return None
