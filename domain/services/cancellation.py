"""Cancellation of orders: store the request, then deliver it to the venue until the venue has answered.

An order that was never sent is canceled here immediately. One that may be at the venue is canceled only by the venue:
until it reports that, the order is PENDING_CANCEL and can still fill. Canceling twice is harmless, so an unanswered
request is sent again, and so is one that the venue's status does not show: it was lost. While that status is pending,
as for hours outside the trading day, no request is sent again.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.model.accounts import VisibleAccounts, is_visible
from domain.model.changes import OrderSnapshot
from domain.model.errors import (
    NotCancelableError,
    OrderNotFoundError,
    TransientError,
    UnavailableError,
    VenueBusyError,
    VenueUnreachableError,
    VersionConflictError,
)
from domain.model.operator_actions import ActionKind, Actor, NewAction, order_state
from domain.model.order import CANCELED_BEFORE_SENDING, End, SubmissionPhase
from domain.model.reports import CancelRefused, CancelRequested, CancelSent, OrderEnded, Report
from domain.model.values import Reason, ReasonSource
from domain.model.venue_chain import filled_at
from domain.ports.notifications import WakeUps
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.ports.readers import OrderReader
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import Venue, VenueOrder
from domain.ports.venue_outcomes import CancelNotPossible, CancelOutcome, CancelPostponed, CancelTaken, CancelUnknown
from domain.services.chain_look_up import look_up
from domain.services.decision import Decision
from domain.services.recording import VERSION_CONFLICTS_MAX, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """The use case of requesting a cancellation."""

    orders: OrderStore
    reader: OrderReader
    recording: Recording
    wake_ups: WakeUps

    async def request(
        self, order_id: UUID, *, account_ids: VisibleAccounts, actor: Actor | None = None, reason: str = ""
    ) -> OrderSnapshot:
        """Store a cancel request and return the order. While a request is open, another one changes nothing.

        `account_ids` None may cancel for every account. If the order is not one of the accounts of `actor`, the request
        is an operator's action, for `reason`. Raises OrderNotFoundError, NotCancelableError, and
        UnavailableError, also when concurrent writers kept changing the order.
        """
        for _ in range(VERSION_CONFLICTS_MAX):
            row = (await self.orders.load([order_id])).get(order_id)
            if row is None or not is_visible(row.order.account_id, account_ids):
                raise OrderNotFoundError
            if row.order.status.is_final:
                raise NotCancelableError(await self._current_order(row))
            if row.order.facts.cancel.is_open:
                return await self._current_order(row)
            try:
                return await self._store_request(row, actor, reason)
            except VersionConflictError:
                continue
        raise UnavailableError("The order kept changing meanwhile. Ask for its cancellation again.")

    async def _store_request(self, row: LoadedOrder, actor: Actor | None, reason: str) -> OrderSnapshot:
        now = self.recording.clock()
        if was_never_sent(row):
            ended = OrderEnded(end=End.CANCELED, reason=CANCELED_BEFORE_SENDING, venue_order_id=None, at=now)
            decision = self.recording.decide(row, [ended], unclaimed=True)
            changes = await self.recording.commit([decision], action=self._action(decision, actor, reason))
        else:
            decision = self.recording.decide(row, [CancelRequested(at=now)], cancel_in=timedelta(0))
            changes = await self.recording.commit([decision], action=self._action(decision, actor, reason))
            self.wake_ups.cancel_due([row.order.id])
        return changes[-1].order

    def _action(self, decision: Decision, actor: Actor | None, reason: str) -> NewAction | None:
        """Return the operator's action that the request is, None when the order is one of the actor's own accounts."""
        before, after = decision.row.order, decision.applied.order
        if actor is None or before.account_id in actor.account_ids:
            return None
        return NewAction(
            id=self.recording.new_id(),
            actor=actor,
            kind=ActionKind.CANCEL_REQUESTED,
            reason=reason,
            account_id=before.account_id,
            order_id=before.id,
            before=order_state(before),
            after=order_state(after),
        )

    async def _current_order(self, row: LoadedOrder) -> OrderSnapshot:
        order = await self.reader.order(row.order.id, account_ids=(row.order.account_id,))
        if order is None:
            raise OrderNotFoundError
        return order


def was_never_sent(row: LoadedOrder) -> bool:
    """Return whether the venue cannot have the order: every attempt proved that nothing was sent, and none runs."""
    facts = row.order.facts
    return (
        facts.phase is SubmissionPhase.WAITING
        and not facts.venue_has_shown_something
        and row.maybe_sent_at is None
        and row.lease_until is None
    )


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
    """Times of delivering cancel requests. `confirm_within` is the longest time until the stream reports the result.

    While the venue answers and the order is unchanged, pauses grow up to `pause_max`.
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
        rows = await self.orders.claim_cancels(order_ids, lease=self.policy.lease)
        await self._deliver_all(rows)
        return len(rows)

    async def sweep(self, *, limit: int, overdue_by: timedelta) -> int:
        """Send the most overdue cancel requests, whether or not a wake-up came; return how many."""
        rows = await self.orders.claim_due_cancels(limit=limit, overdue_by=overdue_by, lease=self.policy.lease)
        await self._deliver_all(rows)
        return len(rows)

    async def _deliver_all(self, rows: Sequence[LoadedOrder]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for row in rows:
                tasks.create_task(self._deliver(row))

    async def _deliver(self, row: LoadedOrder) -> None:
        try:
            async with self.slots:
                reports, again_in = await self._make_request(row)
            await self._record(row, reports, again_in=again_in)
        except Exception as error:  # noqa: BLE001 - an error of one order must not block the others' requests
            log = self.telemetry.warning if isinstance(error, TransientError) else self.telemetry.error
            log("cancel_not_recorded", order_id=str(row.order.id), error=repr(error), next="sent again when due")

    async def _make_request(self, row: LoadedOrder) -> Step:
        """Send the request, unless the venue shows that it has been sent."""
        facts = row.order.whole
        if facts.venue_order_id is None:
            return (), self.policy.retry  # Not at the venue yet: it is submitted or ended first.
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
                # The first accepted one is looked up soon, regardless of earlier failures of the venue.
                is_first = row.order.facts.cancel.is_unsent
                pause = self.policy.confirm_within if is_first else self._pause_after_sending(row)
                return [self._sent(row)], pause
            case CancelUnknown(error=error):
                self.telemetry.warning(
                    "cancel_postponed", order_id=str(row.order.id), error=error, next="sent again automatically"
                )
                return (), self._unanswered_pause(row)
            case CancelPostponed(error=error, retry_after=retry_after):
                self.telemetry.warning(
                    "cancel_postponed", order_id=str(row.order.id), error=error, next="sent again automatically"
                )
                return (), retry_after
            case CancelNotPossible(reason=reason):
                return await self._result_of_refusal(row, reason)

    async def _result_of_refusal(self, row: LoadedOrder, reason: Reason) -> Step:
        """Look up the order: only one that is open, and not being canceled, stays live after the refusal."""
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
        """Return the refusal, if the venue reports the order as filled and has busted executions of it since.

        Only while its count is recorded: then no report follows that would end the order here.
        """
        facts, terms = row.order.facts, found.terms
        is_filled = not found.is_open and not any(isinstance(report, OrderEnded) for report in found.reports)
        filled = filled_at(facts, found.venue_order_id)
        if not is_filled or terms is None or not filled == found.filled_quantity < terms.quantity:
            return ()
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
        """Look up the order; return nothing when the venue does not have it. Raises VenueUnreachableError."""
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
        for _ in range(VERSION_CONFLICTS_MAX):
            decision = self.recording.decide(row, reports, cancel_in=again_in)
            try:
                await self.recording.commit([decision])
            except VersionConflictError:
                row = (await self.orders.load([row.order.id]))[row.order.id]
                continue
            if decision.applied.order.facts.cancel.is_open and not decision.applied.order.status.is_final:
                self.wake_ups.cancel_due([row.order.id], within=again_in)
            return
        raise VersionConflictError


def _reports_of(found: Sequence[VenueOrder]) -> Sequence[Report]:
    return [report for one in found for report in one.reports]
