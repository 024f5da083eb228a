"""What our own attempts add to an order's facts: submissions, and cancel requests with the venue's refusals of them."""

from dataclasses import replace

from domain.model.cancel_requests import CancelRequests
from domain.model.order import End, Facts, OrderStatus, SubmissionPhase
from domain.model.reports import CancelRefused, CancelRequested, CancelSent, OrderEnded, SubmissionInDoubt
from domain.model.values import Reason, ReasonSource, storable_reason


def with_phase(facts: Facts, phase: SubmissionPhase, reason: Reason) -> Facts:
    """Return the facts after our own attempts reached this phase, with the first reason given for it."""
    return replace(_with_phase_reason(facts, phase, reason), phase=max(facts.phase, phase))


def _with_phase_reason(facts: Facts, phase: SubmissionPhase, reason: Reason) -> Facts:
    if phase in facts.phase_reasons:
        return facts
    return replace(facts, phase_reasons={**facts.phase_reasons, phase: storable_reason(reason)})


def in_doubt(facts: Facts, report: SubmissionInDoubt) -> Facts:
    """Return the facts after an attempt of unknown outcome."""
    facts = with_phase(facts, SubmissionPhase.SENT_UNKNOWN, report.reason)
    return facts if report.refusal is None else _with_phase_reason(facts, SubmissionPhase.REFUSED, report.refusal)


def cancel_reported(
    facts: Facts, report: CancelRequested | CancelSent | CancelRefused, *, status: OrderStatus
) -> Facts:
    """Return the facts after a cancel request was made, sent or refused."""
    match report:
        case CancelRequested():
            return facts if status.is_final else replace(facts, cancel=facts.cancel.with_request())
        case CancelSent():
            return replace(facts, cancel=facts.cancel.with_sent(report.request))
        case CancelRefused():
            return replace(facts, cancel=facts.cancel.with_refusal(report.request, at=report.at))


def cancel_after_end(facts: Facts, report: OrderEnded) -> CancelRequests:
    """Return the cancel requests; an end before sending is one, which the venue gets if the order is revived."""
    is_repeated = report.end in facts.ends
    is_ours = report.end is End.CANCELED and report.reason.source is ReasonSource.ACCOUNT
    return facts.cancel.with_request() if is_ours and not is_repeated else facts.cancel
