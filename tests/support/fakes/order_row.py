"""One order's row of the order store in memory: the order, and the bookkeeping of placing and canceling around it."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from domain.model.apply_executions import newest_count
from domain.model.changes import OrderSnapshot, PlacementState, snapshot
from domain.model.executions import Execution
from domain.model.order import End, Facts, Order, is_submission_over
from domain.model.values import ZERO
from domain.ports.order_store import AttemptEnd, Claim, ExecutionKey, LoadedOrder, OrderWrite


@dataclass(slots=True)
class OrderRow:
    """The order, its executions, and when something is due to be done about it."""

    order: Order
    submit_due_at: datetime | None
    accepted_at: datetime
    attempt: int = 0
    attempts: int = 0
    lease_until: datetime | None = None
    maybe_sent_at: datetime | None = None
    last_attempt_at: datetime | None = None
    last_error: str | None = None
    cancel_due_at: datetime | None = None
    executions: dict[str, Execution] = field(default_factory=dict)

    def snapshot(self, order: Order | None = None) -> OrderSnapshot:
        """Return the order as shown to people, now or after one change."""
        placement = PlacementState(
            attempts=self.attempts,
            last_attempt_at=self.last_attempt_at,
            next_attempt_at=self.submit_due_at if self.lease_until is None else None,
            last_error=self.last_error,
        )
        return snapshot(order or self.order, placement=placement)

    def loaded(self, keys: Collection[ExecutionKey] = ()) -> LoadedOrder:
        """Return the order as read from the database, with the executions that the keys name."""
        names = {key.venue_execution_id for key in keys}
        reads_all = any(key.is_amended for key in keys)
        totals = {key.cumulative_quantity for key in keys if key.cumulative_quantity is not None}
        named = tuple(
            execution
            for execution in self.executions.values()
            if reads_all
            or execution.venue_execution_id in names
            or execution.cumulative_quantity in totals
            or (keys and (execution.amended_at or not execution.is_counted or execution.is_open_booking))
        )
        return LoadedOrder(
            order=self.order,
            executions=named,
            attempt=self.attempt,
            attempts=self.attempts,
            maybe_sent_at=self.maybe_sent_at,
            lease_until=self.lease_until,
            filled_up_to=None if self._has_open_booking or self.order.facts.successors else self._filled_up_to,
        )

    @property
    def _has_open_booking(self) -> bool:
        return any(one.is_open_booking for one in self.executions.values())

    @property
    def _filled_up_to(self) -> Decimal:
        totals = [one.cumulative_quantity for one in self.executions.values()]
        return max((total for total in totals if total is not None), default=ZERO)

    @property
    def may_have_been_sent(self) -> bool:
        """Whether an attempt may have brought it to the venue."""
        return self.maybe_sent_at is not None or self.lease_until is not None

    def is_due(self, now: datetime) -> bool:
        """Whether an attempt may be made: it is due, and no attempt's lease still runs."""
        is_free = self.lease_until is None or self.lease_until <= now
        return self.submit_due_at is not None and self.submit_due_at <= now and is_free

    def claim(self, *, now: datetime, lease: timedelta) -> Claim:
        """Begin an attempt."""
        if (
            self.lease_until is not None
        ):  # The previous attempt ended without a result: it may have sent until its lease ended.
            self.maybe_sent_at = max(self.maybe_sent_at or self.lease_until, self.lease_until)
        if self.maybe_sent_at is not None:
            self.maybe_sent_at = min(self.maybe_sent_at, now)
        self.attempt += 1
        self.attempts += 1
        self.last_attempt_at = now
        self.lease_until = self.submit_due_at = now + lease
        return Claim(loaded=self.loaded(), claimed_at=now)

    def take(self, write: OrderWrite, *, now: datetime) -> None:
        """Become what was decided."""
        known = self.order.facts.phase_reasons
        facts = replace(write.order.facts, phase_reasons={**write.order.facts.phase_reasons, **known})
        self.order = replace(write.order, facts=facts)
        self.executions |= {execution.venue_execution_id: execution for execution in write.executions}
        if write.attempt_end is not None:
            self._end_attempt(write.attempt_end, now=now)
        if is_submission_over(facts):
            self.submit_due_at = self.lease_until = None
        if not facts.cancel.is_open or write.order.status.is_final:
            self.cancel_due_at = None
        elif write.cancel_in is not None:
            self.cancel_due_at = now + write.cancel_in

    def _end_attempt(self, end: AttemptEnd, *, now: datetime) -> None:
        self.lease_until = None
        self.last_error = end.error
        self.attempts -= 0 if end.counts else 1
        if end.may_have_been_sent:
            self.maybe_sent_at = now
        if end.next_in is not None:
            self.submit_due_at = now + end.next_in


def fences_hold(row: OrderRow, write: OrderWrite) -> bool:
    """Whether the row is still the one that was read, and the attempt still the newest."""
    is_newest = write.attempt_end is None or row.attempt == write.attempt_end.attempt
    is_free = not write.unclaimed or (row.lease_until is None and row.maybe_sent_at is None)
    is_unchanged = row.order.version == write.read_version and not _takes_back(row, write)
    is_unchanged = is_unchanged and row.order.facts.successors == write.read_successors
    return is_newest and is_free and is_unchanged


def _takes_back(row: OrderRow, write: OrderWrite) -> bool:
    """Return whether the write lacks a known fact: facts may be added without a version, so the version does not
    show it.
    """
    before = ((row.executions.get(one.venue_execution_id, one), one) for one in write.executions)
    return _shrinks(row.order.facts, write.order.facts) or any(
        old.id != new.id
        or (old.filled and not new.filled)
        or (old.amends is not None and new.amends is None)
        or (new.amends is None and (old.is_busted > new.is_busted or _is_older(new, old)))
        for old, new in before
    )


def _shrinks(known: Facts, written: Facts) -> bool:
    refused_at = known.cancel.refused_at
    canceled = known.end_reasons.get(End.CANCELED)
    return (
        known.phase > written.phase
        or known.rank > written.rank
        or known.cancel.sent > written.cancel.sent
        or not known.ends <= written.ends
        or (refused_at is not None and (written.cancel.refused_at is None or refused_at > written.cancel.refused_at))
        or newest_count(known.count, written.count) != written.count
        # Whether the venue or we canceled counts for the status.
        or (canceled is not None and canceled.source > written.end_reasons.get(End.CANCELED, canceled).source)
    )


def _is_older(new: Execution, old: Execution) -> bool:
    if old.correction is None:
        return False
    return new.correction is None or new.correction.corrected_at < old.correction.corrected_at
