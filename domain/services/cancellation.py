"""Requests for the cancellation of orders, stored; `domain.services.cancel_delivery` sends them to the venue.

An order that was never sent is canceled at once, here. One that may be at the venue is canceled by the venue alone:
until it reports that, the order is PENDING_CANCEL and can still fill.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from domain.model.accounts import VisibleAccounts, is_visible
from domain.model.changes import OrderSnapshot
from domain.model.errors import NotCancelableError, OrderNotFoundError, UnavailableError, VersionConflictError
from domain.model.operator_actions import ActionKind, Actor, NewAction, order_state
from domain.model.order import CANCELED_BEFORE_SENDING, End, SubmissionPhase
from domain.model.reports import CancelRequested, OrderEnded
from domain.ports.notifications import WakeUps
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.ports.readers import OrderReader
from domain.services.decision import Decision
from domain.services.recording import Recording


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
        row = (await self.orders.load([order_id])).get(order_id)
        if row is None or not is_visible(row.order.account_id, account_ids):
            raise OrderNotFoundError
        action = None
        if actor is not None and row.order.account_id not in actor.account_ids:
            action = partial(self._action, actor, reason)
        try:
            decided = await self.recording.decide_and_commit(row, self._decide, action=action)
        except VersionConflictError as error:
            sentence = "The order kept changing meanwhile. Ask for its cancellation again."
            raise UnavailableError(sentence) from error
        if decided.decision is None:
            order = await self._current_order(row)
            if decided.row.order.status.is_final:
                raise NotCancelableError(order)
            return order
        if decided.decision.cancel_in is not None:
            self.wake_ups.cancel_due([order_id])
        return decided.changes[-1].order

    def _decide(self, row: LoadedOrder) -> Decision | None:
        """Decide on the order as it was read; None when it is final, or a request is open already."""
        if row.order.status.is_final or row.order.facts.cancel.is_open:
            return None
        now = self.recording.clock()
        if was_never_sent(row):
            ended = OrderEnded(end=End.CANCELED, reason=CANCELED_BEFORE_SENDING, venue_order_id=None, at=now)
            return self.recording.decide(row, [ended], unclaimed=True)
        return self.recording.decide(row, [CancelRequested(at=now)], cancel_in=timedelta(0))

    def _action(self, actor: Actor, reason: str, decision: Decision) -> NewAction:
        """Return the operator's action that the decision is."""
        before, after = decision.row.order, decision.applied.order
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
