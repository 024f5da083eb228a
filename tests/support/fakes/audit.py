"""The audit trail in memory: the operators' actions with their chain, and the seals of accounts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.model.audit_chain import (
    ChainHead,
    ChangeRecord,
    account_genesis,
    action_hash,
    actions_genesis,
    restatement_text,
)
from domain.model.changes import RecordedChange
from domain.model.operator_actions import ActionFilter, NewAction, OperatorAction
from domain.model.order_query import Page, PageRequest
from domain.ports.audit import ChangeRange, NewSeal, SealedAccount
from domain.ports.clock_and_ids import Clock
from tests.support.fakes.paging import cut


@dataclass(slots=True)
class MemoryOperatorActions:
    """OperatorActions, and the chain that the stores append to."""

    clock: Clock
    actions: list[OperatorAction] = field(default_factory=list)

    def append(self, action: NewAction) -> None:
        """Store what is done at this moment."""
        last = self.actions[-1] if self.actions else None
        head = actions_genesis() if last is None else ChainHead(last.sequence, last.hash)
        stored = OperatorAction(
            sequence=head.sequence + 1,
            id=action.id,
            at=self.clock(),
            actor=action.actor.full_name,
            token_id=action.actor.token_id,
            address=action.actor.address,
            action=action.kind.value,
            account_id=action.account_id,
            order_id=action.order_id,
            reason=action.reason,
            before=action.before,
            after=action.after,
            hash="",
        )
        self.actions.append(replace(stored, hash=action_hash(head.hash, stored)))

    async def page(self, request: PageRequest[int], *, filter: ActionFilter) -> Page[OperatorAction]:  # noqa: A002 - the port's parameter name
        rows = [
            action
            for action in reversed(self.actions)
            if filter.account_id in (None, action.account_id) and filter.order_id in (None, action.order_id)
        ]
        return cut(rows, request, key=_sequence, descending=True)

    async def find(self, action_ids: Collection[UUID]) -> Sequence[OperatorAction]:
        return [action for action in self.actions if action.id in action_ids]


@dataclass(slots=True)
class MemoryAccountSeals:
    """AccountSeals over the changes of a MemoryOrderStore. `sealed` has every seal of an account, the newest last."""

    clock: Clock
    changes_by_account: Mapping[str, Sequence[RecordedChange]]
    sealed: dict[str, list[ChainHead]] = field(default_factory=dict)
    sealed_at: dict[str, datetime] = field(default_factory=dict)
    holder: UUID | None = None
    lease_until: datetime | None = None

    async def lead(self, holder: UUID, *, lease: timedelta) -> bool:
        now = self.clock()
        if self.holder not in (None, holder) and self.lease_until is not None and self.lease_until > now:
            return False
        self.holder, self.lease_until = holder, now + lease
        return True

    async def head(self, account_id: str) -> ChainHead:
        return (await self.heads([account_id]))[account_id]

    async def heads(self, account_ids: Collection[str]) -> Mapping[str, ChainHead]:
        return {account_id: self._head(account_id) for account_id in account_ids}

    async def unsealed(self, *, limit: int, last: Collection[str] = ()) -> Sequence[SealedAccount]:
        found = [
            SealedAccount(account_id=account_id, sequence=log[-1].sequence, head=self._head(account_id))
            for account_id, log in self.changes_by_account.items()
            if log and log[-1].sequence != self._head(account_id).sequence
        ]
        longest_ago = {account_id: at.timestamp() for account_id, at in self.sealed_at.items()}
        found.sort(key=lambda one: (one.account_id in last, longest_ago.get(one.account_id, 0.0)))
        return found[:limit]

    async def changes(self, ranges: Sequence[ChangeRange]) -> Mapping[str, Sequence[ChangeRecord]]:
        return {
            one.account_id: [
                _record(change)
                for change in self.changes_by_account.get(one.account_id, ())
                if one.after < change.sequence <= one.up_to
            ]
            for one in ranges
        }

    async def seal(self, seals: Sequence[NewSeal]) -> Collection[str]:
        fitting = [seal for seal in seals if self._head(seal.account_id) == seal.replaces]
        for seal in fitting:
            self.sealed.setdefault(seal.account_id, []).append(seal.head)
            self.sealed_at[seal.account_id] = self.clock()
        return {seal.account_id for seal in fitting}

    def _head(self, account_id: str) -> ChainHead:
        seals = self.sealed.get(account_id)
        return seals[-1] if seals else account_genesis(account_id)


def _sequence(action: OperatorAction | int) -> int:
    return action if isinstance(action, int) else action.sequence


def _record(change: RecordedChange) -> ChangeRecord:
    order, reason, execution = change.order, change.order.reason, change.execution
    return ChangeRecord(
        account_id=order.account_id,
        sequence=change.sequence,
        order_id=order.id,
        version=order.version,
        kind=change.kind,
        at=change.at,
        status=order.status,
        filled_quantity=order.filled_quantity,
        notional=order.notional,
        reason_source=None if reason is None else reason.source,
        reason_code=None if reason is None else reason.code,
        reason_message=None if reason is None else reason.message,
        venue_order_id=order.venue_order_id,
        execution_id=None if execution is None else execution.id,
        execution_quantity=None if execution is None else execution.quantity,
        execution_price=None if execution is None else execution.price,
        executed_at=None if execution is None else execution.executed_at,
        received_at=None if execution is None else execution.received_at,
        restatement=None if order.restatement is None else restatement_text(order.restatement),
    )
