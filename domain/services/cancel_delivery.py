"""Delivery of cancel requests to the venue, until the venue has answered.

Canceling twice is harmless, so an unanswered request is sent again, and so is one of which the venue's status shows
nothing: it was lost. While that status is that a cancellation is pending, as for hours outside the trading day, no
request is sent again.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.model.errors import TransientError, VenueBusyError, VenueUnreachableError
from domain.model.reports import CancelRefused, CancelSent, Report
from domain.model.values import Reason, ReasonSource
from domain.ports.notifications import WakeUps
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import Venue, VenueOrder
from domain.ports.venue_outcomes import CancelNotPossible, CancelOutcome, CancelPostponed, CancelTaken, CancelUnknown
from domain.services.chain_look_up import look_up
from domain.services.decision import Decision
from domain.services.recording import Recording
from domain.services.venue_answers import is_filled_and_taken_back

FILLED_AND_TAKEN_BACK = Reason(
    source=ReasonSource.VENUE,
    code="VENUE_CANCEL_REFUSED",
    message="The venue calls the order filled, though it took executions of it back: nothing is left to cancel there.",
)
UNANSWERED_PAUSE_MAX = timedelta(seconds=15)
"""Longest pause before a request without a usable answer is sent again. Not longer: a live order must not stay
uncanceled for a minute after a gateway's outage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPolicy:
    """Times of delivering cancel requests. `confirm_within` is how long the stream may take to report the result.

    While the venue answers and the order stays as it is, pauses grow up to `pause_max`.
    """

    retry: timedelta
    confirm_within: timedelta
    pause_max: timedelta
    lease: timedelta


Step = tuple[Sequence[Report], timedelta]
"""Reports about a request, and after which time to go on with it if it is still open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelDelivery:
    """The use case of delivering cancel requests to the venue. `slots` bounds this process's concurrent requests."""

    orders: OrderStore
    venue: Venue
    recording: Recording
    wake_ups: WakeUps
    telemetry: Telemetry
    policy: CancelPolicy
    slots: asyncio.Semaphore

    async def deliver(self, order_ids: Collection[UUID]) -> int:
        """Send the cancel requests of these orders that are due; return how many were."""
        return await self._deliver_all(await self.orders.claim_cancels(order_ids, lease=self.policy.lease))

    async def sweep(self, *, limit: int, overdue_by: timedelta) -> int:
        """Send the most overdue cancel requests, whether or not a wake-up came; return how many."""
        return await self._deliver_all(
            await self.orders.claim_due_cancels(limit=limit, overdue_by=overdue_by, lease=self.policy.lease)
        )

    async def _deliver_all(self, rows: Sequence[LoadedOrder]) -> int:
        async with asyncio.TaskGroup() as tasks:
            for row in rows:
                tasks.create_task(self._deliver(row))
        return len(rows)

    async def _deliver(self, row: LoadedOrder) -> None:
        try:
            async with self.slots:
                reports, again_in = await self._make_request(row)
            await self._record(row, reports, again_in=again_in)
        except Exception as error:  # noqa: BLE001 - whatever happens to one order must not cancel the others' requests
            log = self.telemetry.warning if isinstance(error, TransientError) else self.telemetry.error
            log("cancel_not_recorded", order_id=str(row.order.id), error=repr(error), next="sent again when due")

    async def _make_request(self, row: LoadedOrder) -> Step:
        """Send the request, unless the venue shows that it has been sent."""
        facts = row.order.whole
        if facts.venue_order_id is None:
            # Not at the venue yet: its submission ends it, or comes first, and then the request is due at once.
            return (), self._growing_pause(row, first=self.policy.retry)
        if not facts.cancel.is_unsent:
            try:
                found = await self._look_up(row)
            except VenueBusyError as error:
                return (), error.retry_after
            except VenueUnreachableError:
                found = ()
            if found and found[-1].venue_order_id != facts.venue_order_id:
                return _reports_of(found), self.policy.retry  # It was replaced: what replaced it is to be canceled.
            if found and (found[-1].is_cancel_pending or not found[-1].is_open):
                reports = [*_reports_of(found), *self._refused_as_filled(row, found[-1])]
                return reports, self._pause_after_sending(row)
        outcome = await self.venue.cancel(facts.venue_order_id)
        self.telemetry.count(Metric.CANCEL_ATTEMPTS, outcome=type(outcome).__name__)
        return await self._result_of(row, outcome)

    async def _result_of(self, row: LoadedOrder, outcome: CancelOutcome) -> Step:
        match outcome:
            case CancelTaken():
                # The first one that is taken is looked at soon, however long the venue did not answer before.
                is_first = row.order.facts.cancel.is_unsent
                pause = self.policy.confirm_within if is_first else self._pause_after_sending(row)
                return [self._sent(row)], pause
            case CancelUnknown(error=error) | CancelPostponed(error=error):
                self.telemetry.warning(
                    "cancel_postponed", order_id=str(row.order.id), error=error, next="sent again automatically"
                )
                return (), self._unanswered_pause(row) if isinstance(outcome, CancelUnknown) else outcome.retry_after
            case CancelNotPossible(reason=reason):
                return await self._result_of_refusal(row, reason)

    async def _result_of_refusal(self, row: LoadedOrder, reason: Reason) -> Step:
        """Look the order up: only one that is open, and not being canceled, has kept its life by the refusal."""
        try:
            found = await self._look_up(row)
        except VenueUnreachableError:
            return (), self._unanswered_pause(row)
        if not found:  # The venue does not know it any more; `OpenOrders` logs that.
            return (), self._growing_pause(row, first=self.policy.retry)
        newest, reports = found[-1], _reports_of(found)
        if newest.venue_order_id != row.order.whole.venue_order_id:
            return reports, self.policy.retry  # It was replaced: the request is for what replaced it.
        if newest.is_cancel_pending:
            return [*reports, self._sent(row)], self._pause_after_sending(row)
        if not newest.is_open:
            # It ended before; the stream reports its last fills.
            return [*reports, *self._refused_as_filled(row, newest)], self.policy.retry
        refused = CancelRefused(reason=reason, request=row.order.facts.cancel.requested, at=self.recording.clock())
        return [*reports, refused], self.policy.retry

    def _refused_as_filled(self, row: LoadedOrder, found: VenueOrder) -> Sequence[CancelRefused]:
        """Return the refusal, if the venue calls the order filled and has taken back executions of it since."""
        if not is_filled_and_taken_back(row.order, found):
            return ()
        facts = row.order.facts
        return (CancelRefused(reason=FILLED_AND_TAKEN_BACK, request=facts.cancel.requested, at=self.recording.clock()),)

    def _sent(self, row: LoadedOrder) -> CancelSent:
        return CancelSent(request=row.order.facts.cancel.requested, at=self.recording.clock())

    def _unanswered_pause(self, row: LoadedOrder) -> timedelta:
        return min(self._growing_pause(row, first=self.policy.retry), max(UNANSWERED_PAUSE_MAX, self.policy.retry))

    def _pause_after_sending(self, row: LoadedOrder) -> timedelta:
        return self._growing_pause(row, first=self.policy.confirm_within)

    def _growing_pause(self, row: LoadedOrder, *, first: timedelta) -> timedelta:
        """Return as long as the order has not changed, so that the time between two requests doubles, up to a bound."""
        unchanged_for = self.recording.clock() - row.order.updated_at
        return min(max(unchanged_for, first), max(self.policy.pause_max, first))

    async def _look_up(self, row: LoadedOrder) -> Sequence[VenueOrder]:
        """Look the order up; return nothing when the venue does not have it. Raises VenueUnreachableError."""
        try:
            return await look_up(self.venue, row.order)
        except VenueUnreachableError as error:
            self.telemetry.warning(
                "cancel_look_up_failed",
                order_id=str(row.order.id),
                error=str(error),
                next="looked up again automatically",
            )
            raise

    async def _record(self, row: LoadedOrder, reports: Sequence[Report], *, again_in: timedelta) -> None:
        def decide(row: LoadedOrder) -> Decision:
            return self.recording.decide(row, reports, cancel_in=again_in)

        decision = (await self.recording.decide_and_commit(row, decide)).decision
        order = row.order if decision is None else decision.applied.order
        if order.facts.cancel.is_open and not order.status.is_final:
            self.wake_ups.cancel_due([order.id], within=again_in)


def _reports_of(found: Sequence[VenueOrder]) -> Sequence[Report]:
    return [report for one in found for report in one.reports]
