"""Application of reports to an order: each report adds its facts, and each visible effect becomes a change.

A report that adds nothing is a repeat and changes nothing. A fact without a visible effect (a rank that increases after
a fill) is added without a new version.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from domain.model.apply_attempts import cancel_after_end, cancel_reported, in_doubt, with_phase
from domain.model.apply_executions import ReportedExecutions, Step, newest_count
from domain.model.apply_operator import facts_of_operator, is_overruled, without_operator_end
from domain.model.changes import Anomaly, Change, ChangeKind
from domain.model.execution_index import ExecutionIndex
from domain.model.executions import Execution
from domain.model.frozen import frozen
from domain.model.order import End, Facts, Order, OrderStatus, SubmissionPhase, VenueRank, derive_reason, with_facts
from domain.model.reports import (
    CancelRefused,
    CancelRequested,
    CancelSent,
    ExecutionBooked,
    ExecutionBusted,
    ExecutionCorrected,
    FilledQuantityCounted,
    OperatorBusted,
    OperatorEnded,
    OrderAccepted,
    OrderAdopted,
    OrderEnded,
    OrderFilled,
    OrderReplaced,
    OrderRestated,
    OrderShownOpen,
    Report,
    SubmissionGivenUp,
    SubmissionInDoubt,
    SubmissionRefused,
)
from domain.model.restatement import latest
from domain.model.values import ReasonSource, storable_reason
from domain.model.venue_chain import facts_of, key_of, with_end_of, with_facts_of, with_link

OtherReport = (
    OrderAccepted
    | OrderEnded
    | OrderRestated
    | CancelRefused
    | CancelRequested
    | CancelSent
    | SubmissionInDoubt
    | SubmissionRefused
    | SubmissionGivenUp
    | OrderShownOpen
    | OrderAdopted
    | OperatorEnded
)
"""A report that is not about one execution."""


@frozen
class Applied:
    """An order after some reports: its changes in order, the new and changed executions, and anomalies.

    `contradicted` are the ids of executions for which a report contradicts the known content.
    """

    order: Order
    changes: Sequence[Change]
    executions: Sequence[Execution]
    anomalies: Sequence[Anomaly]
    contradicted: frozenset[str] = frozenset()


def apply_reports(
    order: Order,
    reports: Iterable[Report],
    *,
    known: Iterable[Execution],
    now: datetime,
    new_id: Callable[[], UUID],
) -> Applied:
    """Apply the reports, in their order, to one order.

    `known` must contain every stored execution of the order that a report could repeat (by the venue's execution id or
    by cumulative quantity), every one that was amended or has another id, and all when a report amends one. `now`
    becomes the time of the changes; `new_id` names new executions.
    """
    executions = ReportedExecutions(index=ExecutionIndex(known), now=now, new_id=new_id)
    application = _Application(order=order, now=now, executions=executions)
    for report in reports:
        application.apply(report)
    return Applied(
        order=application.order,
        changes=application.changes,
        executions=list(executions.touched.values()),
        anomalies=[*application.anomalies, *executions.anomalies(application.order)],
        contradicted=frozenset(executions.contradicted),
    )


@dataclass(slots=True)
class _Application:
    """The intermediate state of one call of `apply_reports`."""

    order: Order
    now: datetime
    executions: ReportedExecutions
    changes: list[Change] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)

    def apply(self, report: Report) -> None:
        """Apply one report: each of its steps that is visible is a change."""
        steps = self._steps(report)
        if is_overruled(self.order.facts, steps[-1].facts, report):
            steps = [replace(step, facts=without_operator_end(step.facts)) for step in steps]
        for step in steps:
            self._take(step)

    def _take(self, step: Step) -> None:
        before, facts = self.order, step.facts
        if facts == before.facts and not step.lists_booking:
            return
        if before.status.is_final and _has_been_shown(before.facts, facts) and step.kind is not ChangeKind.RESOLVED:
            before = self._revived(before, after=facts)
        after = with_facts(before, facts, at=self.now)
        if _visible(after) == _visible(before) and not step.lists_booking:
            self.order = replace(before, facts=facts)
            return
        self.order = after
        kind = _kind_in_chain(step.kind, before, after) if facts.successors else step.kind
        self.changes.append(Change(kind=kind, order=after, execution=step.execution))

    def _revived(self, before: Order, *, after: Facts) -> Order:
        """Return the order as live again, with its change, if it was final only because the venue had not reported
        it.
        """
        facts = replace(
            before.facts,
            rank=max(before.facts.rank, VenueRank.ACCEPTED),
            venue_order_id=after.venue_order_id,
            operator_end=after.operator_end,
        )
        alive = with_facts(before, facts, at=self.now)
        if alive.status.is_final:
            return before
        self.changes.append(Change(kind=ChangeKind.REVIVED, order=alive))
        return alive

    def _steps(self, report: Report) -> Sequence[Step]:
        facts = self.order.facts
        match report:
            case OrderFilled():
                linked = self._with_venue_order_id(facts, report.venue_order_id)
                # A repeat may still be the first report with the venue's id of the order.
                return self.executions.filled(linked, report) or (Step(kind=ChangeKind.PLACED, facts=linked),)
            case ExecutionCorrected() | ExecutionBusted():
                return self.executions.amended(facts, report)
            case FilledQuantityCounted():
                return self.executions.counted(facts, report)
            case ExecutionBooked() | OperatorBusted():
                return self.executions.resolved(facts, report)
            case OrderReplaced():
                return (Step(kind=ChangeKind.RESTATED, facts=with_link(facts, report)),)
            case OrderRestated() | OrderEnded() if (key := key_of(facts, report.venue_order_id)) is not None:
                return (self._step_of_successor(facts, key, report),)
            case _:
                kind, facts = self._facts_after(report)
                return (Step(kind=kind, facts=facts),)

    def _facts_after(self, report: OtherReport) -> tuple[ChangeKind, Facts]:
        facts = self.order.facts
        match report:
            case OrderAccepted():
                return ChangeKind.PLACED, self._accepted(facts, report)
            case OrderRestated():
                return ChangeKind.RESTATED, self._restated(facts, report)
            case OrderEnded():
                return _END_KINDS[report.end], self.executions.counted_since(self._ended(facts, report), None)
            case CancelRequested() | CancelSent() | CancelRefused():
                return _CANCEL_KINDS[type(report)], cancel_reported(facts, report, status=self.order.status)
            case SubmissionInDoubt():
                return ChangeKind.PLACEMENT_IN_DOUBT, in_doubt(facts, report)
            case SubmissionRefused():
                return ChangeKind.REJECTED, with_phase(facts, SubmissionPhase.REFUSED, report.reason)
            case SubmissionGivenUp():
                return ChangeKind.FAILED, with_phase(facts, SubmissionPhase.GIVEN_UP, report.reason)
            case OrderShownOpen():
                return ChangeKind.REVIVED, facts
            case OrderAdopted() | OperatorEnded():
                return ChangeKind.RESOLVED, facts_of_operator(facts, report)

    def _step_of_successor(self, facts: Facts, key: str, report: OrderRestated | OrderEnded) -> Step:
        own = facts_of(facts, key)
        if isinstance(report, OrderRestated):
            return Step(kind=ChangeKind.RESTATED, facts=with_facts_of(facts, key, self._restated(own, report)))
        after = with_end_of(facts, key, self._ended(own, report), at=report.at)
        return Step(kind=_END_KINDS[report.end], facts=self.executions.counted_since(after, key))

    def _accepted(self, facts: Facts, report: OrderAccepted) -> Facts:
        facts = self._with_venue_order_id(facts, report.venue_order_id)
        return replace(facts, rank=max(facts.rank, report.rank))

    def _restated(self, facts: Facts, report: OrderRestated) -> Facts:
        facts = self._with_venue_order_id(facts, report.venue_order_id)
        restatement = latest(facts.restatement, report.restatement)
        return replace(facts, restatement=restatement, rank=max(facts.rank, VenueRank.ACCEPTED))

    def _ended(self, facts: Facts, report: OrderEnded) -> Facts:
        if facts.ends and report.end not in facts.ends:
            self.anomalies.append(Anomaly.SEVERAL_ENDS)
        # Two reports of one end may have different reasons; the larger one wins, so that their order is irrelevant. By
        # the sources' names the venue's reason is larger than ours, so ours never replaces its end.
        stated = storable_reason(report.reason)
        reason = max(facts.end_reasons.get(report.end, stated), stated)
        facts = self._with_venue_order_id(facts, report.venue_order_id)
        at_venue = report.reason.source is ReasonSource.VENUE and report.end is not End.REJECTED
        return replace(
            facts,
            ends=facts.ends | {report.end},
            end_reasons={**facts.end_reasons, report.end: reason},
            rank=max(facts.rank, VenueRank.ACCEPTED) if at_venue else facts.rank,
            cancel=cancel_after_end(facts, report),
            count=newest_count(facts.count, report.count),
        )

    def _with_venue_order_id(self, facts: Facts, venue_order_id: str | None) -> Facts:
        if venue_order_id is None or venue_order_id == facts.venue_order_id or venue_order_id in facts.successors:
            return facts
        if facts.venue_order_id is not None:
            self.anomalies.append(Anomaly.VENUE_ORDER_ID_CHANGED)
            venue_order_id = min(venue_order_id, facts.venue_order_id)
        return replace(facts, venue_order_id=venue_order_id)


def _has_been_shown(before: Facts, after: Facts) -> bool:
    """Return whether the venue reports an order that it had not reported, or that an operator had ended."""
    if before.rank is VenueRank.NONE and after.rank > VenueRank.NONE:
        return True
    return before.operator_end_in_force is not None and after.operator_end_in_force is None


def _visible(order: Order) -> tuple[object, ...]:
    facts, status = order.whole, order.status
    return (
        status,
        derive_reason(facts, status=status),
        facts.filled_quantity,
        facts.notional,
        facts.venue_order_id,
        facts.restatement,
        # A request that was too late is refused after the order has ended: it has no further effect.
        None if status.is_final else (facts.cancel.requested, facts.cancel.refused),
    )


def _kind_in_chain(kind: ChangeKind, before: Order, after: Order) -> ChangeKind:
    """Return the kind of a change of an order that the venue replaced: no end of one venue order is one of it."""
    if before.status.is_final and not after.status.is_final and kind is ChangeKind.RESTATED:
        return kind if before.status is OrderStatus.FILLED else ChangeKind.REVIVED
    if kind not in _END_KINDS.values():
        return kind
    is_an_end = after.status.is_final and after.status is not OrderStatus.FILLED
    return ChangeKind(after.status.value) if is_an_end else ChangeKind.RESTATED


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
