"""Wake-ups of workers, published changes, and the live feed. The first two are hints; the database is the source of
truth.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from domain.model.changes import OrderSnapshot, RecordedChange


class WakeUps(Protocol):
    """Wake-ups of workers. They are hints and may be lost, so no call waits or raises."""

    def placement_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        """Wake a worker to submit the orders, after the delay `within`."""

    def cancel_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        """Wake a worker to send the orders' cancel requests, after the delay `within`."""


class ChangePublisher(Protocol):
    """The publisher of changes to all API processes. They are hints, sent after the commit: no call waits or raises."""

    def publish(self, changes: Sequence[RecordedChange]) -> None:
        """Send the changes of one commit, one message for each account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The position of an account's stream; all changes after this sequence follow."""

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """The missed changes are no longer stored, or the history moved back; the stream continues after this sequence."""

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpToDate:
    """The stream of an order is open, and the subscriber has received all changes so far."""

    version: int


class LiveFeed(Protocol):
    """Every change exactly once and in order to one subscriber, with any loss of hints in between.

    Each step returns the available items, in order and at least one, so that a sender has one wake-up and one write for
    all of them. Both generators free their resources when closed. They end only as documented, or by an error.
    """

    def order(
        self, order_id: UUID, *, account_id: str | None, after_version: int | None
    ) -> AsyncGenerator[Sequence[OrderSnapshot | UpToDate | RecordedChange]]:
        """One order: its snapshot (or, with `after_version`, the changes since, if still stored), then each later
        change in version order. The first item is yielded as soon as the stream is open: where `after_version` is
        the newest one it is UpToDate, except for a final order, which ends it immediately. Ends after a final
        status. Raises OrderNotFound before the first item; `account_id` None allows every account.
        """

    def account(
        self, account_id: str, *, after: int | None
    ) -> AsyncGenerator[Sequence[Checkpoint | Reset | RecordedChange]]:
        """All orders of the account: a checkpoint, then each change in the sequence's order; with `after`, everything
        since that sequence follows the checkpoint that names it."""
