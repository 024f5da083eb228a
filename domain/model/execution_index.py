"""Index of an order's executions: by the venue's ids, and by the other criteria by which two ids name one execution.

Two rules make several ids one execution:

- a bust or correction has its own id, and the venue may list and amend the execution by that id afterwards, over any
  number of steps. Such an id does not count: facts under it belong to the amended execution;
- the stream and REST may name one fill differently. Two fills of one venue order are one if trade and cumulative
  quantity are equal and no amendment of it is between them: without one the venue's count only increases, so it reaches
  each total once.

Both depend on the set of known facts, not on their order.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from domain.model.executions import (
    Execution,
    Trade,
    amendment_rank,
    with_amendments_of,
    without_amendments,
)
from domain.model.facts import VenueCount
from domain.model.frozen import frozen
from domain.model.reports import ExecutionBooked, OrderFilled

BOOKED_FILL_WITHIN = timedelta(seconds=60)
"""How far from the venue's time the time of a booked execution may be: statements for people often show minutes."""

Total = tuple[Decimal, Trade, str | None]
"""A cumulative quantity, the trade that led to it, and the venue order (see Execution) whose quantity it is."""


@frozen
class Revision:
    """An execution before and after a step; `before` is None for a new one."""

    before: Execution | None
    after: Execution


class ExecutionIndex:
    """The executions of one order; the last one put under an id replaces the one before."""

    def __init__(self, executions: Iterable[Execution]) -> None:
        self._by_id: dict[str, Execution] = {}
        self._ids_by_total = defaultdict[Total, dict[str, None]](dict)
        for execution in executions:
            self._set(execution)

    def get(self, venue_execution_id: str) -> Execution | None:
        """Return the execution with the venue's id, or None."""
        return self._by_id.get(venue_execution_id)

    def amended_id(self, venue_execution_id: str) -> str:
        """Return the id of the execution to which the id leads over amendments: itself when it is no amendment's."""
        seen = {venue_execution_id}
        while (known := self._by_id.get(venue_execution_id)) is not None and known.amends is not None:
            if known.amends in seen:
                return venue_execution_id
            venue_execution_id = known.amends
            seen.add(venue_execution_id)
        return venue_execution_id

    def counted(self, venue_execution_id: str) -> Execution | None:
        """Return the execution that counts for the id, or None."""
        known = self._by_id.get(self.amended_id(venue_execution_id))
        return known if known is None or known.repeats is None else self._by_id.get(known.repeats)

    def put(self, execution: Execution) -> Sequence[Revision]:
        """Add the execution, or replace the one with its id; return the changed ones, its own revision first."""
        before = self._by_id.get(execution.venue_execution_id)
        # An id that becomes known as that of a fill replaces none that counts.
        new = execution.venue_execution_id if before is None or before.filled is None else None
        were_amended = () if before is None else before.amended_at
        self._set(execution)
        is_amended = execution.amended_at != were_amended
        total = _total(execution)
        totals: Iterable[Total] = self._ids_by_total if is_amended else (() if total is None else (total,))
        regrouped = {each.venue_execution_id: each for total in totals for each in self._regroup(total, new=new)}
        changed = {execution.venue_execution_id: before}
        changed.update({name: self._by_id[name] for name in regrouped if name != execution.venue_execution_id})
        for each in regrouped.values():
            self._set(each)
        return [Revision(before=old, after=self._by_id[name]) for name, old in changed.items()]

    def link(self, amendment: Execution, *, amends: str) -> Sequence[Revision]:
        """Make the id that of an amendment of `amends`; its facts pass to the amended execution.

        An id that is linked already, or that would amend itself, is unchanged.
        """
        name = amendment.venue_execution_id
        if amendment.amends is not None or self.amended_id(amends) == name:
            return ()
        revisions = [*self.put(without_amendments(amendment, amends=amends))]
        target = self._by_id.get(self.amended_id(amends))
        if target is not None and amendment.amended_at:
            revisions += self.put(with_amendments_of(target, amendment))
        return revisions

    def booking_of(self, venue_execution_id: str, *, filled: OrderFilled | None) -> Execution | None:
        """Return the open booking of an execution that the venue names for the first time, or None.

        One with a venue's id matches only that id; others are matched by the trade and its time.
        """
        open_bookings = [one for one in self._by_id.values() if one.is_open_booking]
        named = next((one for one in open_bookings if one.booked_as == venue_execution_id), None)
        if named is not None or filled is None:
            return named
        alike = (one for one in open_bookings if one.booked_as is None and _is_alike(one, filled.trade, filled.at))
        return min(alike, key=lambda one: one.id, default=None)

    def recorded_like(self, booked: ExecutionBooked) -> Execution | None:
        """Return a known execution that the booking may be about, or None.

        Of two equal trades at one time the venue's id selects the intended one.
        """
        name = booked.venue_execution_id
        # A booking that was busted may be booked again; an execution that the venue busted does not count.
        for one in (one for one in self._by_id.values() if not one.is_booked_no_more):
            if name is not None and name in (one.venue_execution_id, one.booked_as):
                return one
            is_another = name is not None and (one.booked_as is not None or not one.is_booked)
            # Two bookings may both miss the venue's time, one on each side.
            within = 2 * BOOKED_FILL_WITHIN if one.is_booked else BOOKED_FILL_WITHIN
            if not is_another and _is_alike(one, booked.trade, booked.at, within=within):
                return one
        return None

    def newest_total(self, venue_order_id: str | None) -> VenueCount | None:
        """Return what the venue counted as filled at the newest fill of the venue order that states it, or None."""
        fills = (one for one in self._by_id.values() if one.filled is not None and one.venue_order_id == venue_order_id)
        totals = ((one.executed_at, one.cumulative_quantity) for one in fills)
        counts = (VenueCount(at=at, quantity=total) for at, total in totals if total is not None)
        return max(counts, key=lambda one: (one.at, one.quantity), default=None)

    def _set(self, execution: Execution) -> None:
        name = execution.venue_execution_id
        self._by_id[name] = execution
        total = _total(execution)
        if total is not None:
            self._ids_by_total[total][name] = None

    def _regroup(self, total: Total, *, new: str | None) -> Sequence[Execution]:
        """Return the fills with this total whose `repeats` must be another one."""
        names = self._ids_by_total[total]
        if len(names) < 2:  # noqa: PLR2004 - one fill repeats no other
            return [replace(one, repeats=None) for name in names if (one := self._by_id[name]).repeats is not None]
        *_, of_order = total
        times = sorted(at for one in self._by_id.values() if one.venue_order_id == of_order for at in one.amended_at)
        groups = defaultdict[int, list[Execution]](list)
        for name in names:
            one = self._by_id[name]
            if one.amends is None:
                groups[bisect_right(times, one.executed_at)].append(one)
        return [each for group in groups.values() for each in _with_one_counted(group, new=new)]


def _total(execution: Execution) -> Total | None:
    if execution.cumulative_quantity is None or execution.filled is None:
        return None
    return execution.cumulative_quantity, execution.filled, execution.venue_order_id


def _with_one_counted(group: Sequence[Execution], *, new: str | None) -> Iterable[Execution]:
    """Yield those ids of one execution of which the counting must change."""
    # The one that the venue amended counts; else the one that counts already stays the known one.
    counted = max(
        group,
        key=lambda one: (
            amendment_rank(one),
            one.repeats is None and one.venue_execution_id != new,
            -one.executed_at.timestamp(),
        ),
    )
    for one in group:
        repeats = None if one is counted else counted.venue_execution_id
        if one.repeats != repeats:
            yield replace(one, repeats=repeats)


def _is_alike(execution: Execution, trade: Trade, at: datetime, *, within: timedelta = BOOKED_FILL_WITHIN) -> bool:
    return execution.filled == trade and abs(execution.executed_at - at) <= within
