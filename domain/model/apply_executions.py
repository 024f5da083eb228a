"""What fills, busts and corrections make of an order: its executions, and the exact sums of those that count."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.model.apply_operator import execution_of_operator
from domain.model.changes import Anomaly, ChangeKind
from domain.model.execution_index import ExecutionIndex, Revision
from domain.model.executions import Correction, Execution, taken_back, with_bust, with_correction, with_fill
from domain.model.frozen import frozen
from domain.model.order import Facts, Order, VenueCount, VenueRank
from domain.model.reports import (
    ExecutionBooked,
    ExecutionBusted,
    ExecutionCorrected,
    FilledQuantityCounted,
    OperatorBusted,
    OrderFilled,
)
from domain.model.values import EXACT, ZERO
from domain.model.venue_chain import facts_of, filled_of, key_of, with_facts_of, with_filled


@frozen
class Step:
    """The facts after one step of a report, each possibly a separate change.

    With `lists_booking` it is a change even without a visible difference: the execution has the venue's id now, and a
    concurrent writer must not overwrite that.
    """

    kind: ChangeKind
    facts: Facts
    execution: Execution | None = None
    lists_booking: bool = False


@dataclass(slots=True, kw_only=True)
class ReportedExecutions:
    """The executions of one order while reports are applied. `new_id` names new ones, received at `now`.

    `touched` are the new and changed ones, `contradicted` the ids for which a report contradicts the known content.
    """

    index: ExecutionIndex
    now: datetime
    new_id: Callable[[], UUID]
    touched: dict[str, Execution] = field(default_factory=dict)
    contradicted: set[str] = field(default_factory=set)
    _anomalies: list[Anomaly] = field(default_factory=list)
    _amended: set[str] = field(default_factory=set)
    _missed_up_to: dict[str | None, Decimal] = field(default_factory=dict)

    def filled(self, facts: Facts, report: OrderFilled) -> Sequence[Step]:
        """Return the steps of a fill: none for a known one, also one known under another id."""
        known = self.index.get(report.venue_execution_id)
        if known is not None and known.filled is not None:
            if _contradicts(report, known):
                self.contradicted.add(report.venue_execution_id)
                self._anomalies.append(Anomaly.EXECUTION_ID_REUSED)
            return ()
        key = key_of(facts, report.venue_order_id)
        before = known or self._new_execution(report.venue_execution_id, executed_at=report.at, key=key)
        total = report.cumulative_quantity
        after = with_fill(before, report.trade, cumulative_quantity=total, executed_at=report.at)
        revisions = self.index.put(after)
        counts = self._counts(report.venue_execution_id)
        if facts_of(facts, key).ends and counts:
            self._anomalies.append(Anomaly.FILL_AFTER_END)
        if total is not None:
            self._missed_up_to[key] = max(self._missed_up_to.get(key, ZERO), total)
            facts = self.counted_since(facts, key)
        booking = self.index.booking_of(report.venue_execution_id, filled=report if counts else None)
        return self._steps(facts, revisions, kind=ChangeKind.FILL, booking=booking)

    def amended(self, facts: Facts, report: ExecutionCorrected | ExecutionBusted) -> Sequence[Step]:
        """Return the steps of a bust or correction: its own effect first, then fills that turn out to be others."""
        key = key_of(facts, report.venue_order_id)
        facts = self.counted_since(_with_count(facts, key, report.count), key)
        name = self.index.amended_id(report.venue_execution_id)
        self._amended.add(name)
        start = self.index.get(name) or self._new_execution(name, executed_at=report.at, key=key)
        if isinstance(report, ExecutionBusted):
            after = with_bust(start, at=report.at)
        else:
            after = with_correction(start, Correction(trade=report.trade, corrected_at=report.at))
        revisions = [] if after == start else [*self.index.put(after)]
        revisions += self._linked(report, amends=report.venue_execution_id, key=key)
        booking = self.index.booking_of(report.venue_execution_id, filled=None)
        if not revisions:
            return (Step(kind=ChangeKind.CORRECTED, facts=facts),)
        return self._steps(facts, _joined(revisions), kind=ChangeKind.CORRECTED, booking=booking)

    def resolved(self, facts: Facts, report: ExecutionBooked | OperatorBusted) -> Sequence[Step]:
        """Return the steps of what an operator booked or busted."""
        after = execution_of_operator(report, self.index)
        if after is None:
            return (Step(kind=ChangeKind.RESOLVED, facts=facts),)
        return self._steps(facts, self.index.put(after), kind=ChangeKind.RESOLVED)

    def counted(self, facts: Facts, report: FilledQuantityCounted) -> Sequence[Step]:
        """Return the step of what the venue showed that it counts as filled."""
        key = key_of(facts, report.venue_order_id)
        facts = self.counted_since(_with_count(facts, key, report.count), key)
        return (Step(kind=ChangeKind.CORRECTED, facts=facts),)

    def counted_since(self, facts: Facts, key: str | None) -> Facts:
        """Return the facts with the venue's count at the newest known fill, if that is newer than its last count.

        Both are of one venue order. It may continue to fill after an amendment, and a fill has its total, too.
        """
        if facts_of(facts, key).count is None:
            return facts
        return _with_count(facts, key, self.index.newest_total(key))

    def anomalies(self, order: Order) -> Sequence[Anomaly]:
        """Return the anomalies after all reports: a batch may contain the later of two fills first."""
        found = list(self._anomalies)
        filled, count = order.facts.filled_quantity, order.whole.count
        if count is not None and count.quantity < filled:
            found.append(Anomaly.MISSED_AMENDMENT)
        is_counted = count is not None and count.quantity > filled
        if is_counted or any(total > filled_of(order.facts, key) for key, total in self._missed_up_to.items()):
            found.append(Anomaly.MISSED_FILL)
        if self.touched and filled > order.quantity:
            found.append(Anomaly.OVERFILL)
        if any(self._is_unknown(name) for name in self._amended):
            found.append(Anomaly.UNKNOWN_EXECUTION_AMENDED)
        return found

    def _linked(
        self, report: ExecutionCorrected | ExecutionBusted, *, amends: str, key: str | None
    ) -> Sequence[Revision]:
        own_id = report.amendment_id
        if own_id is None or own_id == amends:
            return ()
        amendment = self.index.get(own_id) or self._new_execution(own_id, executed_at=report.at, key=key)
        return self.index.link(amendment, amends=amends)

    def _steps(
        self, facts: Facts, revisions: Sequence[Revision], *, kind: ChangeKind, booking: Execution | None = None
    ) -> Sequence[Step]:
        """Return one step for each execution that counts for something else now, what becomes less first.

        An order that executes, or is amended, works at the venue: only what the venue has can be amended, even if its
        fill was not reported.
        """
        facts = replace(facts, rank=VenueRank.WORKING)
        if booking is not None:
            facts, kind = self._without_booking(facts, booking), ChangeKind.CORRECTED
        steps: list[Step] = []
        for one in sorted(revisions, key=_difference):
            self.touched[one.after.venue_execution_id] = one.after
            if _counts_alike(one):
                continue
            facts = _with_revision(facts, one)
            steps.append(Step(kind=_kind(one, kind), facts=facts, execution=one.after))
        steps = steps or [Step(kind=ChangeKind.PLACED if kind is ChangeKind.FILL else kind, facts=facts)]
        steps[0] = replace(steps[0], lists_booking=booking is not None)
        return steps

    def _without_booking(self, facts: Facts, booking: Execution) -> Facts:
        """Return the facts without what an operator booked: from now on the venue's own counts."""
        after = taken_back(booking)
        self.index.put(after)
        self.touched[after.venue_execution_id] = after
        return _with_revision(facts, Revision(before=booking, after=after))

    def _counts(self, name: str) -> bool:
        known = self.index.get(name)
        return known is not None and known.is_counted

    def _is_unknown(self, name: str) -> bool:
        known = self.index.get(self.index.amended_id(name))
        return known is None or known.filled is None

    def _new_execution(self, venue_execution_id: str, *, executed_at: datetime, key: str | None) -> Execution:
        return Execution(
            id=self.new_id(),
            venue_execution_id=venue_execution_id,
            cumulative_quantity=None,
            executed_at=executed_at,
            received_at=self.now,
            venue_order_id=key,
        )


def newest_count(known: VenueCount | None, other: VenueCount | None) -> VenueCount | None:
    """Return the newer of two counts of the venue; of two at one moment the larger one, so that their order is
    irrelevant."""
    return max((one for one in (known, other) if one is not None), key=lambda one: (one.at, one.quantity), default=None)


def _with_count(facts: Facts, key: str | None, count: VenueCount | None) -> Facts:
    if key is None:
        return replace(facts, count=newest_count(facts.count, count))
    own = facts_of(facts, key)
    return with_facts_of(facts, key, replace(own, count=newest_count(own.count, count)))


def _joined(revisions: Iterable[Revision]) -> Sequence[Revision]:
    """Return one revision for each execution, from before the first of its revisions to after the last one."""
    joined: dict[str, Revision] = {}
    for one in revisions:
        name = one.after.venue_execution_id
        joined[name] = Revision(before=joined[name].before if name in joined else one.before, after=one.after)
    return list(joined.values())


def _contradicts(report: OrderFilled, known: Execution) -> bool:
    """Return whether a fill has a known id and other content. The venue may list it in its corrected form."""
    if known.correction is not None and report.trade == known.correction.trade:
        return False
    totals = {report.cumulative_quantity, known.cumulative_quantity} - {None}
    return report.trade != known.filled or len(totals) > 1


def _kind(revision: Revision, kind: ChangeKind) -> ChangeKind:
    """Return the kind of the change: a fill that counts from now on is a FILL, a smaller quantity is CORRECTED."""
    if kind is ChangeKind.RESOLVED:
        return kind
    if revision.before is not None and revision.before.repeats is not None:
        return ChangeKind.FILL
    return ChangeKind.CORRECTED if _difference(revision) < ZERO else kind


def _difference(revision: Revision) -> Decimal:
    before = ZERO if revision.before is None else revision.before.trade.quantity
    return revision.after.trade.quantity - before


def _counts_alike(revision: Revision) -> bool:
    before, after = revision.before, revision.after
    return (before is not None and before.trade == after.trade) or (before is None and not after.trade.quantity)


def _with_revision(facts: Facts, revision: Revision) -> Facts:
    quantity, notional = revision.after.trade.quantity, revision.after.notional
    if revision.before is not None:
        quantity = EXACT.subtract(quantity, revision.before.trade.quantity)
        notional = EXACT.subtract(notional, revision.before.notional)
    return with_filled(facts, revision.after.venue_order_id, quantity=quantity, notional=notional)
