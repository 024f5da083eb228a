"""Recording of finished attempts: each result is written under its attempt's number.

Attempts that finish at about the same time are recorded together, by one statement. An older attempt that resumes late
writes nothing: a newer one has the claim.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.model.errors import VersionConflictError
from domain.model.order import Order, is_submission_over
from domain.ports.notifications import WakeUps
from domain.ports.order_store import AttemptEnd, Claim, LoadedOrder, OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.services.attempt_result import AttemptResult
from domain.services.recording import VERSION_CONFLICTS_MAX, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedAttempt:
    """An attempt that has ended, and its result."""

    claim: Claim
    result: AttemptResult


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecorder:
    """The recorder of finished attempts. Of the attempts of an order only the first `max_attempts` count."""

    orders: OrderStore
    recording: Recording
    wake_ups: WakeUps
    telemetry: Telemetry
    max_attempts: int

    async def record(self, finished: Sequence[FinishedAttempt]) -> Sequence[None]:
        """Write all results by one statement, except those of attempts that lost their claim; return a None for each.

        Raises UnavailableError when the database does not answer: each order is looked up when its lease has expired.
        """
        rows: Mapping[UUID, LoadedOrder] = {each.claim.order.id: each.claim.loaded for each in _oldest_first(finished)}
        left = finished
        for _ in range(VERSION_CONFLICTS_MAX):
            left = self._unfenced(left, rows)
            try:
                await self._write(left, rows)
            except VersionConflictError:
                # A concurrent write changed one of them. Reading all again costs no more than finding the changed one.
                rows = await self.orders.load([each.claim.order.id for each in left])
                continue
            return [None] * len(finished)
        raise VersionConflictError

    async def _write(self, finished: Sequence[FinishedAttempt], rows: Mapping[UUID, LoadedOrder]) -> None:
        decisions = [
            self.recording.decide(
                rows[each.claim.order.id], each.result.reports, attempt_end=self._attempt_end(each.claim, each.result)
            )
            for each in finished
        ]
        await self.recording.commit(decisions)
        for each, decision in zip(finished, decisions, strict=True):
            if each.result.next_in is not None:
                self._schedule_next(each.claim, each.result, decision.applied.order)

    def _unfenced(
        self, finished: Sequence[FinishedAttempt], rows: Mapping[UUID, LoadedOrder]
    ) -> Sequence[FinishedAttempt]:
        """Return the attempts whose claim is still the newest one of their order."""
        left = []
        for each in finished:
            row = rows.get(each.claim.order.id)
            if row is not None and row.attempt == each.claim.loaded.attempt:
                left.append(each)
            else:
                self.telemetry.warning(
                    "attempt_fenced", order_id=str(each.claim.order.id), attempt=each.claim.loaded.attempt
                )
        return left

    def _attempt_end(self, claim: Claim, result: AttemptResult) -> AttemptEnd:
        return AttemptEnd(
            attempt=claim.loaded.attempt,
            error=result.error,
            counts=result.counts and claim.loaded.attempts <= self.max_attempts,
            may_have_been_sent=result.may_have_been_sent,
            next_in=result.next_in,
        )

    def _schedule_next(self, claim: Claim, result: AttemptResult, order: Order) -> None:
        if result.next_in is None or is_submission_over(order.facts):
            return
        self.telemetry.count(Metric.SUBMISSIONS_RETRIED)
        self.telemetry.warning(
            "placement_postponed",
            order_id=str(claim.order.id),
            attempt=claim.loaded.attempts,
            status=order.status,
            error=result.error,
            delay_seconds=round(result.next_in.total_seconds(), 3),
            next="attempted again automatically",
        )
        self.wake_ups.placement_due([claim.order.id], within=result.next_in)


def _oldest_first(finished: Sequence[FinishedAttempt]) -> Iterable[FinishedAttempt]:
    """Sort by attempt: of two attempts of one order the older one has lost its claim."""
    return sorted(finished, key=lambda each: each.claim.loaded.attempt)
