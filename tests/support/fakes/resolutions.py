"""Operators' requests to resolve orders, in memory, with the rows of the audit trail that they leave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.model.errors import ClientRequestIdConflictError, OrderNotFoundError
from domain.model.operator_actions import ActionKind, NewAction, RequestedAction
from domain.model.resolutions import KINDS, AskVenue, NewResolution, Refusal, Resolution
from domain.ports.clock_and_ids import Clock
from tests.support.fakes.audit import MemoryOperatorActions


@dataclass(slots=True)
class MemoryResolutions:
    """ResolutionRequests and Resolutions. `account_of` maps an order to its account, None when there is none.

    With `answered_at_once` every request is completed when it is stored, as by a worker, with this answer of the venue.
    """

    clock: Clock
    actions: MemoryOperatorActions
    account_of: Callable[[UUID], str | None]
    asked: dict[UUID, NewResolution] = field(default_factory=dict)
    stored: dict[UUID, Resolution] = field(default_factory=dict)
    leases: dict[UUID, datetime] = field(default_factory=dict)
    answered_at_once: str | None = None

    async def add(self, new: NewResolution) -> Resolution:
        if self.account_of(new.order_id) is None:
            raise OrderNotFoundError
        for known in self.asked.values():
            if _key(known) == _key(new):
                if (known.action, known.reason) != (new.action, new.reason):
                    raise ClientRequestIdConflictError(new.client_request_id)
                return self.stored[known.id]
        self.asked[new.id] = new
        self.stored[new.id] = Resolution(
            id=new.id,
            order_id=new.order_id,
            action=new.action,
            reason=new.reason,
            asked_at=self.clock(),
            done_at=None,
            refusal=None,
            answer=None,
        )
        if self.answered_at_once is not None:
            self._finish(new.id, answer=self.answered_at_once)
        return self.stored[new.id]

    async def find(self, resolution_id: UUID) -> Resolution:
        return self.stored[resolution_id]

    async def take(self, *, limit: int, lease: timedelta) -> Sequence[Resolution]:
        now = self.clock()
        free = [one for one in self._waiting() if self.leases.get(one.id, now) <= now][:limit]
        self.leases.update({one.id: now + lease for one in free})
        return free

    async def complete(self, resolution_id: UUID, *, before: str, after: str) -> None:
        self.apply(RequestedAction(resolution_id=resolution_id, before=before, after=after))

    async def refuse(self, resolution_id: UUID, refusal: Refusal) -> None:
        self._finish(resolution_id, refusal=refusal)

    async def answer(self, resolution_id: UUID, answer: str) -> None:
        self._finish(resolution_id, answer=answer)

    def is_done(self, resolution_id: UUID) -> bool:
        """Return whether the resolution is complete, so that no more writes are allowed."""
        return self.stored[resolution_id].done_at is not None

    def apply(self, action: RequestedAction) -> None:
        """Complete a request, with its row of the trail."""
        asked = self.asked[action.resolution_id]
        if self.is_done(asked.id) or isinstance(asked.action, AskVenue):
            return
        self._finish(asked.id)
        self.actions.append(
            NewAction(
                id=asked.id,
                actor=asked.actor,
                kind=ActionKind(KINDS[type(asked.action)]),
                reason=asked.reason,
                account_id=self.account_of(asked.order_id),
                order_id=asked.order_id,
                before=action.before,
                after=action.after,
            )
        )

    def _waiting(self) -> Sequence[Resolution]:
        waiting = [one for one in self.stored.values() if one.done_at is None]
        return sorted(waiting, key=lambda one: (one.is_question, one.asked_at))

    def _finish(self, resolution_id: UUID, *, refusal: Refusal | None = None, answer: str | None = None) -> None:
        if not self.is_done(resolution_id):
            done = replace(self.stored[resolution_id], done_at=self.clock(), refusal=refusal, answer=answer)
            self.stored[resolution_id] = done


def _key(new: NewResolution) -> tuple[UUID, str, str]:
    return new.order_id, new.actor.subject, new.client_request_id
