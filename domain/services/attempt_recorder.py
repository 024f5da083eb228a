"""The end of an attempt to place an order: what it found out is written down under the attempt's number.

Attempts that end at about the same time are concluded together, by one statement. An older attempt that wakes up late
writes nothing: a newer one has the order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.model.errors import VersionConflictError
from domain.model.order import Order, is_placing_over
from domain.ports.notifications import WakeUps
from domain.ports.order_store import AttemptEnd, Claim, LoadedOrder, OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.services.attempt_policy import AttemptResult
from domain.services.recording import VERSION_CONFLICTS_MAX, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedAttempt:
    """An attempt that has ended, and what it found out."""

    claim: Claim
    finding: AttemptResult


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecorder:
    """Writes down how attempts ended. Of the attempts of an order only the first `max_attempts` count."""

    orders: OrderStore
    recording: Recording
    wake_ups: WakeUps
    telemetry: Telemetry
    max_attempts: int

    async def conclude(self, ended: Sequence[FinishedAttempt]) -> Sequence[None]:
        """Write all of them down by one statement, each unless it has lost its claim; one None for each.

        Raises Unavailable when the database does not answer: each order is looked up when its lease has ended.
        """
        rows: Mapping[UUID, LoadedOrder] = {
            each.claim.order.id: _as_claimed(each.claim) for each in _oldest_first(ended)
        }
        left = ended
        for _ in range(VERSION_CONFLICTS_MAX):
            left = self._unfenced(left, rows)
            try:
                await self._write(left, rows)
            except VersionConflictError:
                # Somebody wrote to one of them since. All are read again: that is as cheap as to find out which.
                rows = await self.orders.load([each.claim.order.id for each in left], [])
                continue
            return [None] * len(ended)
        raise VersionConflictError

    async def _write(self, ended: Sequence[FinishedAttempt], rows: Mapping[UUID, LoadedOrder]) -> None:
        decisions = [
            self.recording.decide(
                rows[each.claim.order.id], each.finding.reports, attempt_end=self._attempt_end(each.claim, each.finding)
            )
            for each in ended
        ]
        await self.recording.commit(decisions)
        for each, decision in zip(ended, decisions, strict=True):
            if each.finding.next_in is not None:
                self._schedule_next(each.claim, each.finding, decision.applied.order)

    def _unfenced(
        self, ended: Sequence[FinishedAttempt], rows: Mapping[UUID, LoadedOrder]
    ) -> Sequence[FinishedAttempt]:
        """Those whose claim is still the newest one of their order."""
        left = []
        for each in ended:
            row = rows.get(each.claim.order.id)
            if row is not None and row.attempt == each.claim.attempt:
                left.append(each)
            else:
                self.telemetry.warning("attempt_fenced", order_id=str(each.claim.order.id), attempt=each.claim.attempt)
        return left

    def _attempt_end(self, claim: Claim, finding: AttemptResult) -> AttemptEnd:
        return AttemptEnd(
            attempt=claim.attempt,
            error=finding.error,
            counts=finding.counts and claim.attempts <= self.max_attempts,
            may_have_been_sent=finding.may_have_been_sent,
            next_in=finding.next_in,
        )

    def _schedule_next(self, claim: Claim, finding: AttemptResult, order: Order) -> None:
        if finding.next_in is None or is_placing_over(order.facts):
            return
        self.telemetry.count(Metric.SUBMISSIONS_RETRIED)
        self.telemetry.warning(
            "placement_postponed",
            order_id=str(claim.order.id),
            attempt=claim.attempts,
            status=order.status,
            error=finding.error,
            delay_seconds=round(finding.next_in.total_seconds(), 3),
            next="attempted again by itself",
        )
        self.wake_ups.placement_due([claim.order.id], within=finding.next_in)


def _oldest_first(ended: Sequence[FinishedAttempt]) -> Iterable[FinishedAttempt]:
    """By attempt: of two of one order that end together the older one has lost its claim."""
    return sorted(ended, key=lambda each: each.claim.attempt)


def _as_claimed(claim: Claim) -> LoadedOrder:
    """The row as the claim returned it; no need to read it again."""
    return LoadedOrder(
        order=claim.order,
        executions=(),
        attempt=claim.attempt,
        attempts=claim.attempts,
        maybe_sent_at=claim.maybe_sent_at,
        lease_until=None,
    )
