"""The port LiveFeed: every change exactly once and in order to one subscriber, with any loss, delay or repetition of
hints.

Each feed begins the same way. Register first, so that all changes from now on are buffered. Then read the position.
Then yield newer changes, each once: a change that was both buffered and read is not newer than the last yielded one,
and a missing one appears as a gap in the numbers and is read.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from uuid import UUID

from broadcast.hub import ChangeHub
from broadcast.subscriber_cursor import AccountCursor, OrderCursor
from domain.model.changes import OrderSnapshot, RecordedChange
from domain.model.errors import HistoryGoneError, OrderNotFoundError
from domain.ports.notifications import Checkpoint, Reset, UpToDate
from domain.ports.readers import AccountPosition, ChangeLog
from domain.ports.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFeed:
    """Subscriptions over the process's hub.

    An order that ended with less than the venue counts as filled is followed for `completion_wait_seconds` longer.
    Both generators raise UnavailableError when the database does not answer while they are opened; from then on they
    wait for it.
    """

    hub: ChangeHub
    log: ChangeLog
    telemetry: Telemetry
    completion_wait_seconds: float = 30.0

    async def order(
        self, order_id: UUID, *, account_id: str | None, after_version: int | None
    ) -> AsyncGenerator[Sequence[OrderSnapshot | UpToDate | RecordedChange]]:
        """Follow one order: its snapshot, or the changes after a version; then each later change until a final status.

        A snapshot is sent again in place of missed changes that are no longer stored, and when the history has moved
        back. Raises OrderNotFoundError, also when a restored database no longer has the order.
        """
        owner = account_id if account_id is not None else await self._owner(order_id)
        with self.hub.follow(owner, order_id=order_id) as subscriber:
            position = _found(await self.log.order_position(order_id, account_id=owner))
            self.hub.start(owner, position.sequence)
            cursor = OrderCursor(subscriber, order_id=order_id, log=self.hub.retrying_log, telemetry=self.telemetry)
            order, known_version = position.order, position.order.version
            if after_version is None or after_version > order.version:
                cursor.start_at(order.version)
                yield (order,)
            else:
                cursor.resume_at(after_version)
                if after_version == order.version and not order.is_settled:
                    yield (UpToDate(version=after_version),)
            # A final status with all its fills ends it, once all changes known at the opening have been yielded.
            deadline: float | None = None
            while not (order.is_settled and cursor.at >= known_version):
                # Fills that the venue counts are read immediately, but a venue may never list them.
                is_waiting = order.status.is_final and cursor.at >= known_version
                deadline = (deadline or _now() + self.completion_wait_seconds) if is_waiting else None
                try:
                    async with asyncio.timeout_at(deadline):
                        items = await self._order_items(cursor, order_id, owner=owner)
                except TimeoutError:
                    return
                if isinstance(items[0], OrderSnapshot):
                    known_version = items[0].version  # A snapshot replaces earlier state.
                items = _until_final(items, known_version=known_version)
                yield items
                order = _order_of(items[-1])

    async def account(
        self, account_id: str, *, after: int | None
    ) -> AsyncGenerator[Sequence[Checkpoint | Reset | RecordedChange]]:
        """Follow all orders of the account: a checkpoint, then each change in the sequence's order.

        A reset is sent first where the changes since `after` are no longer stored, and when the history has moved back.
        """
        with self.hub.follow(account_id) as subscriber:
            sequence = await self.log.position(account_id)
            self.hub.start(account_id, sequence)
            cursor = AccountCursor(
                subscriber, account_id=account_id, log=self.hub.retrying_log, telemetry=self.telemetry
            )
            yield await self._account_opening(cursor, account_id, after=after, sequence=sequence)
            while True:
                yield await self._account_items(cursor, account_id)

    async def _order_items(
        self, cursor: OrderCursor, order_id: UUID, *, owner: str
    ) -> Sequence[OrderSnapshot | RecordedChange]:
        try:
            return await cursor.next()
        except HistoryGoneError:
            position = _found(await self.hub.retrying_log.order_position(order_id, account_id=owner))
            cursor.start_at(position.order.version)
            return (position.order,)

    async def _account_opening(
        self, cursor: AccountCursor, account_id: str, *, after: int | None, sequence: int
    ) -> Sequence[Checkpoint | Reset | RecordedChange]:
        """Return the first items. Missed changes are read before the checkpoint: they may be deleted."""
        if after is not None and after < sequence:
            cursor.resume_at(after)
            try:
                missed = await cursor.missed()
            except HistoryGoneError:
                return (await self._reset(cursor, account_id),)
            return (Checkpoint(sequence=after), *missed)
        cursor.start_at(sequence)
        # A position from the future is of another history, such as that of a database restored from a backup.
        is_of_another_history = after is not None and after > sequence
        return (Reset(sequence=sequence) if is_of_another_history else Checkpoint(sequence=sequence),)

    async def _account_items(self, cursor: AccountCursor, account_id: str) -> Sequence[Reset | RecordedChange]:
        try:
            return await cursor.next()
        except HistoryGoneError:
            return (await self._reset(cursor, account_id),)

    async def _reset(self, cursor: AccountCursor, account_id: str) -> Reset:
        sequence = await self.hub.retrying_log.position(account_id)
        cursor.start_at(sequence)
        return Reset(sequence=sequence)

    async def _owner(self, order_id: UUID) -> str:
        return _found(await self.log.order_position(order_id, account_id=None)).order.account_id


def _until_final(
    items: Sequence[OrderSnapshot | RecordedChange], *, known_version: int
) -> Sequence[OrderSnapshot | RecordedChange]:
    """Return the items up to the one with the final status: none follows it."""
    for count, item in enumerate(items, start=1):
        order = _order_of(item)
        if order.is_settled and order.version >= known_version:
            return items[:count]
    return items


def _now() -> float:
    return asyncio.get_running_loop().time()


def _order_of(item: OrderSnapshot | RecordedChange) -> OrderSnapshot:
    return item.order if isinstance(item, RecordedChange) else item


def _found(position: AccountPosition | None) -> AccountPosition:
    if position is None:
        raise OrderNotFoundError
    return position
