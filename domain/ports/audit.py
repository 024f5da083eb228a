"""The audit trail: the actions of operators, and the seals over each account's changes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from domain.model.audit_chain import ChainHead, ChangeRecord
from domain.model.operator_actions import ActionFilter, OperatorAction
from domain.model.order_query import Page, PageRequest


class OperatorActions(Protocol):
    """The actions of operators, read. They are stored by the statements that do them. Every method raises
    UnavailableError."""

    async def page(self, request: PageRequest[int], *, filter: ActionFilter) -> Page[OperatorAction]:  # noqa: A002 - the API's name
        """Return a page of actions, the newest first, by their sequence."""

    async def find(self, action_ids: Collection[UUID]) -> Sequence[OperatorAction]:
        """Return the actions that exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedAccount:
    """An account, the sequence of its newest change, and the head of its chain."""

    account_id: str
    sequence: int
    head: ChainHead


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRange:
    """The changes of an account after one sequence, up to another one."""

    account_id: str
    after: int
    up_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSeal:
    """The head that replaces the one up to which the account was sealed before."""

    account_id: str
    replaces: ChainHead
    head: ChainHead


class AccountSeals(Protocol):
    """The chains of the accounts' changes. Every method raises UnavailableError."""

    async def lead(self, holder: UUID, *, lease: timedelta) -> bool:
        """Acquire or extend the lease of the process that seals; return False while another process holds it."""

    async def head(self, account_id: str) -> ChainHead:
        """Return the account's head, its genesis before the first seal; concurrent calls are read together."""

    async def heads(self, account_ids: Collection[str]) -> Mapping[str, ChainHead]:
        """Return the head of each account, its genesis without a seal."""

    async def unsealed(self, *, limit: int, last: Collection[str] = ()) -> Sequence[SealedAccount]:
        """Return accounts whose sequence is not that of their head, the one that was sealed longest ago first, and
        those that are to be `last` behind all others."""

    async def changes(self, ranges: Sequence[ChangeRange]) -> Mapping[str, Sequence[ChangeRecord]]:
        """Return the stored changes of each range by account, in the order of their sequence."""

    async def seal(self, seals: Sequence[NewSeal]) -> Collection[str]:
        """Store the seals whose account still has the head that they replace; return these accounts."""
