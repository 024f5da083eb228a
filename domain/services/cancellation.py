"""The fourth story: cancel an order. Note the request for good, then bring it to the venue until that has answered.

An order that was never sent is canceled at once, here. One that may be at the venue is canceled by the venue alone:
until it says so the order is PENDING_CANCEL and can still fill. Canceling twice is harmless, so an unanswered request
is simply sent again.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.model.changes import OrderSnapshot
from domain.model.errors import (
    NotCancelableError,
    OrderNotFoundError,
    TransientError,
    UnavailableError,
    VenueUnreachableError,
    VersionConflictError,
)
from domain.model.order import CANCELED_BEFORE_SENDING, End, PlacingPhase
from domain.model.reports import CancelAsked, CancelRefused, CancelSent, OrderEnded, Report
from domain.ports.notifications import WakeUps
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.ports.readers import OrderReader
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import CancelNotPossible, CancelOutcome, CancelTaken, CancelUnknown, Venue, VenueOrder
from domain.services.recording import VERSION_CONFLICTS_MAX, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Takes cancel requests from accounts."""

    orders: OrderStore
    reader: OrderReader
    recording: Recording
    wake_ups: WakeUps

    async def request(self, order_id: UUID, *, account_id: str | None) -> OrderSnapshot:
        """Ask for the cancellation; gives the order as it stands then. Asked again while open, it changes nothing.

        `account_id` None may cancel for every account. Raises OrderNotFoundError, NotCancelableError, UnavailableError;
        that also when others kept changing the order meanwhile.
        """
        for _ in range(VERSION_CONFLICTS_MAX):
            row = (await self.orders.load([order_id], [])).get(order_id)
            if row is None or account_id not in (None, row.order.account_id):
                raise OrderNotFoundError
            if row.order.status.is_final:
                raise NotCancelableError(await self._as_it_stands(row))
            if row.order.facts.cancel.is_open:
                return await self._as_it_stands(row)
            try:
                return await self._ask(row)
            except VersionConflictError:
                continue
        raise UnavailableError("The order kept changing meanwhile. Ask for its cancellation again.")

    async def _ask(self, row: LoadedOrder) -> OrderSnapshot:
        now = self.recording.clock()
        if was_never_sent(row):
            ended = OrderEnded(end=End.CANCELED, reason=CANCELED_BEFORE_SENDING, venue_order_id=None, at=now)
            changes = await self.recording.commit([self.recording.decide(row, [ended], unclaimed=True)])
        else:
            decision = self.recording.decide(row, [CancelAsked(at=now)], cancel_in=timedelta(0))
            changes = await self.recording.commit([decision])
            self.wake_ups.cancel_due([row.order.id])
        return changes[-1].order

    async def _as_it_stands(self, row: LoadedOrder) -> OrderSnapshot:
        order = await self.reader.order(row.order.id, account_id=row.order.account_id)
        if order is None:
            raise OrderNotFoundError
        return order


def was_never_sent(row: LoadedOrder) -> bool:
    """Whether the venue cannot have the order: every attempt so far proved that nothing was sent, and none runs."""
    facts = row.order.facts
    return (
        facts.phase is PlacingPhase.WAITING
        and not facts.venue_has_shown_something
        and row.maybe_sent_at is None
        and row.lease_until is None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPolicy:
    """How patient canceling is. `confirm_within` is how long the stream may take to tell what became of a request."""

    retry: timedelta
    confirm_within: timedelta
    lease: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelDelivery:
    """Brings cancel requests to the venue. `slots` bounds the requests that this process makes at once."""

    orders: OrderStore
    venue: Venue
    recording: Recording
    wake_ups: WakeUps
    telemetry: Telemetry
    policy: CancelPolicy
    slots: asyncio.Semaphore

    async def deliver(self, order_ids: Collection[UUID]) -> int:
        """Send the cancel requests of these orders that are due; gives how many were."""
        rows = await self.orders.claim_cancels(order_ids, lease=self.policy.lease)
        await self._deliver_all(rows)
        return len(rows)

    async def sweep(self, *, limit: int, overdue_by: timedelta) -> int:
        """Send the most overdue cancel requests, whatever became of their wake-up; gives how many."""
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
                reports, again_in = await self._find_out(row)
            await self._conclude(row, reports, again_in=again_in)
        except Exception as error:  # noqa: BLE001 - whatever happens to one order must not cancel the others' requests
            say = self.telemetry.warning if isinstance(error, TransientError) else self.telemetry.error
            say("cancel_not_concluded", order_id=str(row.order.id), error=repr(error), next="sent again when due")

    async def _find_out(self, row: LoadedOrder) -> tuple[Sequence[Report], timedelta]:
        """Reports about the cancel request, and when to look at it again if it is still open then."""
        facts = row.order.facts
        if facts.venue_order_id is None:
            return (), self.policy.retry  # Not at the venue yet: placing it comes first, or ends it.
        if not facts.cancel.is_unsent:
            found = await self._look_up(row)
            if found is not None and not found.is_open:
                return found.reports, self.policy.confirm_within
        outcome = await self.venue.cancel(facts.venue_order_id)
        self.telemetry.count(Metric.CANCEL_ATTEMPTS, outcome=type(outcome).__name__)
        return await self._judge(row, outcome)

    async def _judge(self, row: LoadedOrder, outcome: CancelOutcome) -> tuple[Sequence[Report], timedelta]:
        now = self.recording.clock()
        request = row.order.facts.cancel.asked
        match outcome:
            case CancelTaken():
                return [CancelSent(request=request, at=now)], self.policy.confirm_within
            case CancelUnknown(error=error):
                self.telemetry.warning(
                    "cancel_postponed", order_id=str(row.order.id), error=error, next="sent again by itself"
                )
                return (), self.policy.retry
            case CancelNotPossible(reason=reason):
                found = await self._look_up(row)
                if found is None:
                    return (), self.policy.retry
                if not found.is_open:
                    return found.reports, self.policy.retry  # It ended by itself; its last fills come by the stream.
                return [*found.reports, CancelRefused(reason=reason, request=request, at=now)], self.policy.retry

    async def _look_up(self, row: LoadedOrder) -> VenueOrder | None:
        try:
            return await self.venue.find(row.order.id)
        except VenueUnreachableError as error:
            self.telemetry.warning(
                "cancel_look_up_failed", order_id=str(row.order.id), error=str(error), next="asked again by itself"
            )
            return None

    async def _conclude(self, row: LoadedOrder, reports: Sequence[Report], *, again_in: timedelta) -> None:
        for _ in range(VERSION_CONFLICTS_MAX):
            decision = self.recording.decide(row, reports, cancel_in=again_in)
            try:
                await self.recording.commit([decision])
            except VersionConflictError:
                row = (await self.orders.load([row.order.id], []))[row.order.id]
                continue
            if decision.applied.order.facts.cancel.is_open and not decision.applied.order.status.is_final:
                self.wake_ups.cancel_due([row.order.id], within=again_in)
            return
        raise VersionConflictError
