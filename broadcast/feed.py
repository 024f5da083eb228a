"""The port LiveFeed: every change exactly once and in order to one subscriber, whatever happens to the hints.

The story is always the same. Register first, so that everything from now on is buffered. Then read where things stand.
Then pass on what is newer, each once: what was buffered and also read is not newer than what was given out, and what
is missing shows as a gap in the numbers and is read.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from uuid import UUID

from broadcast.hub import ChangeHub
from broadcast.subscriber_cursor import AccountCursor, OrderCursor
from domain.model.changes import OrderSnapshot, RecordedChange
from domain.model.errors import HistoryGoneError, OrderNotFoundError
from domain.ports.notifications import Checkpoint, Reset, UpToDate
from domain.ports.readers import ChangeLog, Position
from domain.ports.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFeed:
    """Subscriptions over the process's hub.

    Both generators raise Unavailable when the database does not answer while they are opened, so that a client is told
    at once; from then on they wait for it.
    """

    hub: ChangeHub
    log: ChangeLog
    telemetry: Telemetry

    async def order(
        self, order_id: UUID, *, account_id: str | None, after_version: int | None
    ) -> AsyncGenerator[Sequence[OrderSnapshot | UpToDate | RecordedChange]]:
        """One order: its snapshot, or the changes after a version; then each later change until a final status.

        A snapshot comes again in place of missed changes that are no longer kept. Raises OrderNotFoundError.
        """
        owner = account_id if account_id is not None else await self._owner(order_id)
        with self.hub.follow(owner, order_id=order_id) as subscriber:
            position = _found(await self.log.order_position(order_id, account_id=owner))
            self.hub.start(owner, position.sequence)
            pursuit = OrderCursor(subscriber, order_id=order_id, log=self.hub.patient_log, telemetry=self.telemetry)
            order, told_until = position.order, position.order.version
            if after_version is None or after_version > order.version:
                pursuit.start_at(order.version)
                yield (order,)
            else:
                pursuit.resume_at(after_version)
                if after_version == order.version and not order.status.is_final:
                    yield (UpToDate(version=after_version),)
            # A final status ends it, unless what was missed goes on behind it: then that is told first.
            while not (order.status.is_final and pursuit.at >= told_until):
                items = _until_final(await self._order_items(pursuit, order_id, owner=owner), told_until=told_until)
                yield items
                order = _order_of(items[-1])

    async def account(
        self, account_id: str, *, after: int | None
    ) -> AsyncGenerator[Sequence[Checkpoint | Reset | RecordedChange]]:
        """All orders of the account: a checkpoint, or a reset where the changes since `after` are no longer kept;
        then each change in the sequence's order."""
        with self.hub.follow(account_id) as subscriber:
            sequence = await self.log.position(account_id)
            self.hub.start(account_id, sequence)
            pursuit = AccountCursor(
                subscriber, account_id=account_id, log=self.hub.patient_log, telemetry=self.telemetry
            )
            yield await self._account_opening(pursuit, account_id, after=after, sequence=sequence)
            while True:
                yield await self._account_items(pursuit, account_id)

    async def _order_items(
        self, pursuit: OrderCursor, order_id: UUID, *, owner: str
    ) -> Sequence[OrderSnapshot | RecordedChange]:
        try:
            return await pursuit.next()
        except HistoryGoneError:
            position = _found(await self.hub.patient_log.order_position(order_id, account_id=owner))
            pursuit.start_at(position.order.version)
            return (position.order,)

    async def _account_opening(
        self, pursuit: AccountCursor, account_id: str, *, after: int | None, sequence: int
    ) -> Sequence[Checkpoint | Reset | RecordedChange]:
        """The first items. What was missed is read before the checkpoint is given: it may turn out to be gone."""
        if after is not None and after < sequence:
            pursuit.resume_at(after)
            try:
                missed = await pursuit.missed()
            except HistoryGoneError:
                return (await self._reset(pursuit, account_id),)
            return (Checkpoint(sequence=after), *missed)
        pursuit.start_at(sequence)
        # A position from the future is of another history, such as that of a database restored from a backup.
        is_external = after is not None and after > sequence
        return (Reset(sequence=sequence) if is_external else Checkpoint(sequence=sequence),)

    async def _account_items(self, pursuit: AccountCursor, account_id: str) -> Sequence[Reset | RecordedChange]:
        try:
            return await pursuit.next()
        except HistoryGoneError:
            return (await self._reset(pursuit, account_id),)

    async def _reset(self, pursuit: AccountCursor, account_id: str) -> Reset:
        sequence = await self.hub.patient_log.position(account_id)
        pursuit.start_at(sequence)
        return Reset(sequence=sequence)

    async def _owner(self, order_id: UUID) -> str:
        return _found(await self.log.order_position(order_id, account_id=None)).order.account_id


def _until_final(
    items: Sequence[OrderSnapshot | RecordedChange], *, told_until: int
) -> Sequence[OrderSnapshot | RecordedChange]:
    """The items up to the one that ends the story: nothing is told behind it."""
    for count, item in enumerate(items, start=1):
        order = _order_of(item)
        if order.status.is_final and order.version >= told_until:
            return items[:count]
    return items


def _order_of(item: OrderSnapshot | RecordedChange) -> OrderSnapshot:
    return item.order if isinstance(item, RecordedChange) else item


def _found(position: Position | None) -> Position:
    if position is None:
        raise OrderNotFoundError
    return position
