"""Application of reports to an order: each report adds its facts, and each visible effect becomes a change.

A report that adds nothing is a repeat and changes nothing. A fact without a visible effect (a rank that rises after a
fill) is added without a new version.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.model.cancel_requests import CancelRequests
from domain.model.changes import Anomaly, Change, ChangeKind
from domain.model.execution_index import ExecutionIndex
from domain.model.executions import Correction, Execution, with_bust, with_correction, with_fill
from domain.model.frozen import frozen
from domain.model.order import End, Facts, Order, OrderStatus, SubmissionPhase, VenueRank, derive_reason, with_facts
from domain.model.reports import (
    CancelRefused,
    CancelRequested,
    CancelSent,
    ExecutionBusted,
    ExecutionCorrected,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRestated,
    Report,
    SubmissionGivenUp,
    SubmissionInDoubt,
    SubmissionRefused,
)
from domain.model.restatement import latest
from domain.model.values import EXACT, ZERO, Reason, ReasonSource


@frozen
class Applied:
    """An order after some reports: its changes in order, the new and changed executions, and anomalies."""

    order: Order
    changes: Sequence[Change]
    executions: Sequence[Execution]
    anomalies: Sequence[Anomaly]


def apply_reports(
    order: Order,
    reports: Iterable[Report],
    *,
    known: Iterable[Execution],
    now: datetime,
    new_id: Callable[[], UUID],
) -> Applied:
    """Apply the reports, in their order, to one order.

    `known` must hold every stored execution of the order that a report could repeat or amend (by the venue's
    execution id or by cumulative quantity). `now` becomes the time of the changes; `new_id` names new executions.
    """
    application = _Application(order=order, now=now, new_id=new_id, executions=ExecutionIndex(known))
    for report in reports:
        application.apply(report)
    # Checked at the end: a batch may contain the later of two fills first.
    if application.missed_up_to > application.order.facts.filled_quantity:
        application.anomalies.append(Anomaly.MISSED_FILL)
    return Applied(
        order=application.order,
        changes=application.changes,
        executions=list(application.touched.values()),
        anomalies=application.anomalies,
    )


@dataclass(slots=True)
class _Application:
    """The intermediate state of one call of `apply_reports`."""

    order: Order
    now: datetime
    new_id: Callable[[], UUID]
    executions: ExecutionIndex
    touched: dict[str, Execution] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    missed_up_to: Decimal = ZERO

    def apply(self, report: Report) -> None:
        before = self.order
        kind, facts, execution = self._facts_after(report)
        if facts == before.facts:
            return
        if before.facts.rank is VenueRank.NONE and facts.rank > VenueRank.NONE and before.status.is_final:
            before = self._revived(before, venue_order_id=facts.venue_order_id)
        after = with_facts(before, facts, at=self.now)
        if _visible(after) == _visible(before):
            self.order = replace(before, facts=facts)
            return
        self.order = after
        self.changes.append(Change(kind=kind, order=after, execution=execution))

    def _revived(self, before: Order, *, venue_order_id: str | None) -> Order:
        """Return the order as live again, with its change, if it was final only because the venue had not shown it."""
        facts = replace(before.facts, rank=VenueRank.ACCEPTED, venue_order_id=venue_order_id)
        alive = with_facts(before, facts, at=self.now)
        if alive.status.is_final:
            return before
        self.changes.append(Change(kind=ChangeKind.REVIVED, order=alive))
        return alive

    def _facts_after(self, report: Report) -> tuple[ChangeKind, Facts, Execution | None]:
        facts = self.order.facts
        match report:
            case OrderAccepted():
                return ChangeKind.PLACED, self._accepted(facts, report), None
            case OrderFilled():
                facts, execution = self._filled(facts, report)
                # A repeat may still be the first report with the venue's id of the order.
                return ChangeKind.FILL if execution else ChangeKind.PLACED, facts, execution
            case ExecutionCorrected() | ExecutionBusted():
                return ChangeKind.CORRECTED, *self._amended(facts, report)
            case OrderRestated():
                return ChangeKind.RESTATED, self._restated(facts, report), None
            case OrderEnded():
                return _END_KINDS[report.end], self._ended(facts, report), None
            case CancelRequested() | CancelSent() | CancelRefused():
                return _CANCEL_KINDS[type(report)], _cancel_reported(facts, report, status=self.order.status), None
            case SubmissionInDoubt():
                return ChangeKind.PLACEMENT_IN_DOUBT, _in_doubt(facts, report), None
            case SubmissionRefused():
                return ChangeKind.REJECTED, _phase(facts, SubmissionPhase.REFUSED, report.reason), None
            case SubmissionGivenUp():
                return ChangeKind.FAILED, _phase(facts, SubmissionPhase.GIVEN_UP, report.reason), None

    def _accepted(self, facts: Facts, report: OrderAccepted) -> Facts:
        facts = self._with_venue_order_id(facts, report.venue_order_id)
        return replace(facts, rank=max(facts.rank, report.rank))

    def _restated(self, facts: Facts, report: OrderRestated) -> Facts:
        facts = self._with_venue_order_id(facts, report.venue_order_id)
        restatement = latest(facts.restatement, report.restatement)
        return replace(facts, restatement=restatement, rank=max(facts.rank, VenueRank.ACCEPTED))

    def _filled(self, facts: Facts, report: OrderFilled) -> tuple[Facts, Execution | None]:
        facts = self._with_venue_order_id(facts, report.venue_order_id)
        known = self.executions.find(report)
        if known is not None and known.filled is not None:
            return facts, None
        before = known or self._new_execution(report.venue_execution_id, executed_at=report.at)
        total = report.cumulative_quantity
        after = with_fill(before, report.trade, cumulative_quantity=total, executed_at=report.at)
        if facts.ends:
            self.anomalies.append(Anomaly.FILL_AFTER_END)
        facts = self._with_execution(facts, before=before, after=after)
        if total is not None and total > facts.filled_quantity:
            self.missed_up_to = max(self.missed_up_to, total)
        self._look_for_overfill(facts)
        return facts, after

    def _look_for_overfill(self, facts: Facts) -> None:
        if facts.filled_quantity > self.order.quantity:
            self.anomalies.append(Anomaly.OVERFILL)

    def _amended(self, facts: Facts, report: ExecutionCorrected | ExecutionBusted) -> tuple[Facts, Execution | None]:
        name = report.venue_execution_id
        start = self.executions.get(name) or self._new_execution(name, executed_at=report.at)
        if isinstance(report, ExecutionBusted):
            after = with_bust(start)
        else:
            after = with_correction(start, Correction(trade=report.trade, corrected_at=report.at))
        if after == start:
            return facts, None
        # Only what the venue has can be amended, even if its fill was not reported.
        facts = self._with_execution(facts, before=start, after=after)
        self._look_for_overfill(facts)
        return facts, after

    def _ended(self, facts: Facts, report: OrderEnded) -> Facts:
        if facts.ends and report.end not in facts.ends:
            self.anomalies.append(Anomaly.SEVERAL_ENDS)
        # Two reports of one end may have different reasons; the larger one wins, so that their order is irrelevant.
        # By the sources' names the venue's reason is larger than ours, so its end is never taken for ours.
        reason = max(facts.end_reasons.get(report.end, report.reason), report.reason)
        facts = self._with_venue_order_id(facts, report.venue_order_id)
        at_venue = report.reason.source is ReasonSource.VENUE and report.end is not End.REJECTED
        return replace(
            facts,
            ends=facts.ends | {report.end},
            end_reasons={**facts.end_reasons, report.end: reason},
            rank=max(facts.rank, VenueRank.ACCEPTED) if at_venue else facts.rank,
            cancel=_cancel_after_end(facts, report),
        )

    def _with_venue_order_id(self, facts: Facts, venue_order_id: str | None) -> Facts:
        if venue_order_id is None or venue_order_id == facts.venue_order_id:
            return facts
        if facts.venue_order_id is not None:
            self.anomalies.append(Anomaly.VENUE_ORDER_ID_CHANGED)
            venue_order_id = min(venue_order_id, facts.venue_order_id)
        return replace(facts, venue_order_id=venue_order_id)

    def _new_execution(self, venue_execution_id: str, *, executed_at: datetime) -> Execution:
        return Execution(
            id=self.new_id(),
            venue_execution_id=venue_execution_id,
            cumulative_quantity=None,
            executed_at=executed_at,
            received_at=self.now,
        )

    def _with_execution(self, facts: Facts, *, before: Execution, after: Execution) -> Facts:
        """Return the facts with updated sums. An order that executes, or is amended, works at the venue."""
        self.executions.add(after)
        self.touched[after.venue_execution_id] = after
        filled = EXACT.add(facts.filled_quantity, after.trade.quantity)
        notional = EXACT.add(facts.notional, after.notional)
        return replace(
            facts,
            filled_quantity=EXACT.subtract(filled, before.trade.quantity),
            notional=EXACT.subtract(notional, before.notional),
            rank=VenueRank.WORKING,
        )


def _phase(facts: Facts, phase: SubmissionPhase, reason: Reason) -> Facts:
    return replace(_with_phase_reason(facts, phase, reason), phase=max(facts.phase, phase))


def _with_phase_reason(facts: Facts, phase: SubmissionPhase, reason: Reason) -> Facts:
    if phase in facts.phase_reasons:
        return facts
    return replace(facts, phase_reasons={**facts.phase_reasons, phase: reason})


def _in_doubt(facts: Facts, report: SubmissionInDoubt) -> Facts:
    facts = _phase(facts, SubmissionPhase.SENT_UNKNOWN, report.reason)
    return facts if report.refusal is None else _with_phase_reason(facts, SubmissionPhase.REFUSED, report.refusal)


def _cancel_reported(
    facts: Facts, report: CancelRequested | CancelSent | CancelRefused, *, status: OrderStatus
) -> Facts:
    match report:
        case CancelRequested():
            return facts if status.is_final else replace(facts, cancel=facts.cancel.with_request())
        case CancelSent():
            return replace(facts, cancel=facts.cancel.with_sent(report.request))
        case CancelRefused():
            return replace(facts, cancel=facts.cancel.with_refusal(report.request, at=report.at))


def _cancel_after_end(facts: Facts, report: OrderEnded) -> CancelRequests:
    """Return the cancel requests; an end before sending is one, which the venue gets if the order is revived."""
    is_repeated = report.end in facts.ends
    is_ours = report.end is End.CANCELED and report.reason.source is ReasonSource.ACCOUNT
    return facts.cancel.with_request() if is_ours and not is_repeated else facts.cancel


def _visible(order: Order) -> tuple[object, ...]:
    facts, status = order.facts, order.status
    return (
        status,
        derive_reason(facts, status=status),
        facts.filled_quantity,
        facts.notional,
        facts.venue_order_id,
        facts.cancel.requested,
        facts.cancel.refused,
        facts.restatement,
    )


_END_KINDS: Mapping[End, ChangeKind] = {
    End.CANCELED: ChangeKind.CANCELED,
    End.REPLACED: ChangeKind.CANCELED,
    End.EXPIRED: ChangeKind.EXPIRED,
    End.REJECTED: ChangeKind.REJECTED,
}
_CANCEL_KINDS: Mapping[type, ChangeKind] = {
    CancelRequested: ChangeKind.CANCEL_REQUESTED,
    CancelSent: ChangeKind.CANCEL_REQUESTED,
    CancelRefused: ChangeKind.CANCEL_REFUSED,
}
