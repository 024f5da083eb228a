"""Invariant 6: one attempt at a time under a lease, and no write by an older attempt or an older leader. Pure."""

from collections.abc import Iterator

from tools.chaos.evidence import Evidence, PlacingStep
from tools.chaos.violations import Violation


def check_writers(evidence: Evidence) -> Iterator[Violation]:
    """Judge every claim, every end of an attempt, every batch of an ingest, every step of the stream's position."""
    yield from _check_attempts(evidence)
    yield from _check_leaders(evidence)


def _check_attempts(evidence: Evidence) -> Iterator[Violation]:
    # Rows of several writers have no fixed order: sort claims before their results.
    claimants = {
        (step.order_id, step.attempt): step.writer
        for step in evidence.placing_steps
        if step.attempt > step.attempt_before
    }
    for step in evidence.placing_steps:
        what = _wrong_step(step)
        if what is not None:
            yield Violation(invariant=6, what=what, subject=step.order_id)
        claimant = claimants.get((step.order_id, step.attempt), "nobody")
        if _is_end_without_report(step) and claimant != step.writer:
            what = f"attempt {step.attempt} of {claimant} was ended by {step.writer}"
            yield Violation(invariant=6, what=what, subject=step.order_id)


def _is_end_without_report(step: PlacingStep) -> bool:
    """Return whether the step ends a leased attempt without a report of the venue, which only the process that made
    it may do.
    """
    return step.lease_left_seconds is not None and not step.is_leased and not step.has_evidence


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


def _check_leaders(evidence: Evidence) -> Iterator[Violation]:
    leaders = {step.epoch: step.writer for step in evidence.leader_steps if step.epoch > step.epoch_before}
    for step in evidence.leader_steps:
        subject, leader = f"epoch {step.epoch}", leaders.get(step.epoch, "nobody")
        if step.epoch < step.epoch_before:
            yield Violation(invariant=6, what="written by an older leader", subject=subject)
        elif leader != step.writer:
            what = f"{step.writer} wrote the position, and {leader} led"
            yield Violation(invariant=6, what=what, subject=subject)
        if step.moment_before is not None and (step.moment or 0.0) < step.moment_before:
            yield Violation(invariant=6, what="the stream's position went back", subject=subject)
    for batch in evidence.batches:
        leader = leaders.get(batch.epoch, "nobody")
        if leader != batch.writer:
            what = f"{batch.writer} wrote {batch.changes} changes, and {leader} led"
            yield Violation(invariant=6, what=what, subject=f"epoch {batch.epoch}, transaction {batch.transaction_id}")
