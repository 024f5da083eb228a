"""Recording of finished attempts: each result is written under its attempt's number.

Attempts that finish at about the same time are recorded together, by one statement (`domain.services.order_decider`).
An older attempt that resumes late writes nothing: a newer one has the order.
"""

from dataclasses import dataclass

from domain.model.order import Order, is_submission_over
from domain.ports.notifications import WakeUps
from domain.ports.order_store import AttemptEnd, Claim, LoadedOrder
from domain.ports.telemetry import Metric, Telemetry
from domain.services.attempt_result import AttemptResult
from domain.services.decision import Decision
from domain.services.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecorder:
    """The recorder of finished attempts. Of the attempts of an order only the first `max_attempts` count."""

    recording: Recording
    wake_ups: WakeUps
    telemetry: Telemetry
    max_attempts: int

    async def record(self, claim: Claim, result: AttemptResult) -> None:
        """Write the result, unless the attempt lost its claim.

        Raises UnavailableError when the database does not answer: the order is looked up when its lease has expired.
        """

        def decide(row: LoadedOrder) -> Decision | None:
            if row.attempt != claim.loaded.attempt:
                return None
            return self.recording.decide(row, result.reports, attempt_end=self._attempt_end(claim, result))

        decided = await self.recording.decide_and_commit(claim.loaded, decide)
        if decided.decision is None:
            self.telemetry.warning("attempt_fenced", order_id=str(claim.order.id), attempt=claim.loaded.attempt)
        elif result.next_in is not None:
            self._schedule_next(claim, result, decided.decision.applied.order)

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
