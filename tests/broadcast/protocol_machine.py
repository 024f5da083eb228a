"""The environment of the subscription protocol: commits, hints, readers and the database, one step at a time.

The hub, the feeds and the subscribers are the product's; only Redis and time are left out: hints are delivered by
steps, and the comparison is made by a step. Each step takes two numbers below NUMBERS, and uses them to choose among
the available objects.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from broadcast.envelope import Message
from broadcast.feed import HubFeed
from broadcast.hub import ChangeHub
from broadcast.messages import encode
from domain.model.changes import OrderSnapshot, RecordedChange
from domain.model.errors import UnavailableError
from domain.ports.notifications import Checkpoint, Reset, UpToDate
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.live_feeds import NO_REDIS, UNHURRIED
from tests.support.memory_loop import StillLoop
from tests.support.signed_messages import SIGNER

NUMBERS = 12
"""How many values each of a step's two numbers may have."""
PUBLISHED_BELOW = 8
FROM_NOW_BELOW = 4
READERS_MAX = 6
ITERATIONS_TO_REST = 2_000
ITERATIONS_TO_END = 10
TIGHT = replace(
    UNHURRIED,
    settle_seconds=0,
    unproved_pause_seconds=0,
    read_retry_delay_seconds=0,
    read_retry_delay_max_seconds=0,
    early_max_changes=3,
    subscriber_buffer_max_changes=2,
    page_max_changes=2,
    comparison_max_accounts=1,
)
ACCOUNTS = ("one", "two")
ORDERS = tuple(
    a_snapshot(10 * n + m, account_id=account_id) for n, account_id in enumerate(ACCOUNTS) for m in range(1, 3)
)

TELEMETRY = RecordingTelemetry()

Item = OrderSnapshot | UpToDate | RecordedChange | Checkpoint | Reset


@dataclass(slots=True, eq=False)
class Reader:
    """A subscriber of an account, or of one of its orders, and its position.

    `at` is the number of the last change that it knows: a sequence, or for an order a version.
    """

    account_id: str
    order: OrderSnapshot | None
    at: int | None
    items: AsyncGenerator[Any]
    may_read: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[Item] = field(default_factory=list)
    checked: int = 0
    task: asyncio.Task[None] | None = None

    async def read(self) -> None:
        async for items in self.items:
            for item in items:
                self.received.append(item)
                await self.may_read.wait()

    def check(self, item: Item) -> None:
        """Check that nothing is repeated, missing or old; a jump is allowed only where the missed changes were
        deleted.
        """
        number = _number(item, of_order=self.order is not None)
        if isinstance(item, RecordedChange):
            assert self.at is not None
            assert number == self.at + 1, (self.at, item)
        elif isinstance(item, Checkpoint | UpToDate):
            assert self.at is None or number == self.at, (self.at, item)
        else:
            assert self.at is None or number >= self.at, (self.at, item)
        self.at = number


class SubscriptionProtocol:
    """Commits, hints, readers and the database, one step at a time."""

    def __init__(self) -> None:
        self.loop = StillLoop()
        self.log = ChangeHistory()
        self.hints: list[Message] = []
        self.readers: list[Reader] = []
        for order in ORDERS:
            self.log.append(order)
        self.is_over = asyncio.Event()
        self.opened: asyncio.Future[ChangeHub] = self.loop.create_future()
        self.life = self.loop.create_task(self._live())
        self.hub = self.loop.run_until_complete(self.opened)
        self.feed = HubFeed(hub=self.hub, log=self.log, telemetry=TELEMETRY)

    def commit(self, which: int, how_many: int) -> None:
        """Commit a change; the publisher may crash right after the commit."""
        order = ORDERS[which % len(ORDERS)]
        changes = [self.log.append(order) for _ in range(1 + how_many % 4)]
        if which < PUBLISHED_BELOW:
            self.hints.append(encode(changes, signer=SIGNER))

    def hint(self, place: int, again: int) -> None:
        """Late, out of order, and perhaps once more."""
        number, is_repeated = place % len(self.hints), again % 2
        self._run(self._receive(self.hints[number] if is_repeated else self.hints.pop(number)))

    def lose_hints(self, _a: int, _b: int) -> None:
        """Disconnect the link."""
        self.hints.clear()

    def follow_account(self, which: int, back: int) -> None:
        """From now on, or from some changes ago; one more than there are is a position of another history."""
        account_id = ACCOUNTS[which % len(ACCOUNTS)]
        after, at = _position(len(self.log.changes[account_id]), back)
        self._follow(Reader(account_id, None, at, self.feed.account(account_id, after=after)))

    def follow_order(self, which: int, back: int) -> None:
        """Follow an order from its current state, or after a version that was seen before."""
        order = ORDERS[which % len(ORDERS)]
        after, at = _position(self._version(order), back)
        feed = self.feed.order(order.id, account_id=order.account_id, after_version=after)
        self._follow(Reader(order.account_id, order, at, feed))

    def stall_or_go_on(self, place: int, _b: int) -> None:
        """Stall or resume a slow client."""
        may_read = self.readers[place % len(self.readers)].may_read
        may_read.clear() if may_read.is_set() else may_read.set()

    def leave(self, place: int, _b: int) -> None:
        """Disconnect a client."""
        self._run(self._close(self.readers.pop(place % len(self.readers))))

    def disconnect_or_restore_the_database(self, _a: int, _b: int) -> None:
        """Disconnect or restore the database, only when every subscription is open: opening one fails then, and
        raises.
        """
        self.log.is_down = not self.log.is_down

    def forget_old_changes(self, which: int, kept: int) -> None:
        """Delete old changes: history is not stored permanently."""
        account_id = ACCOUNTS[which % len(ACCOUNTS)]
        self.log.prune(account_id, through=max(len(self.log.changes[account_id]) - kept % 4, 0))

    def compare(self, _a: int, _b: int) -> None:
        """Run the comparison that is made every five seconds."""
        self._run(self._compare())

    def let_run(self, iterations: int, _b: int) -> None:
        """Run pending tasks for a while."""
        self._run(_iterations(1 + iterations % 8))

    def may_follow(self) -> bool:
        return not self.log.is_down and len(self.readers) < READERS_MAX

    def is_everybody_open(self) -> bool:
        return all(reader.received for reader in self.readers)

    def nobody_receives_anything_wrong(self) -> None:
        """Check each item in the order in which it was received."""
        for reader in self.readers:
            for item in reader.received[reader.checked :]:
                reader.check(item)
            reader.checked = len(reader.received)

    def come_to_rest(self) -> None:
        """Restore everything: then every reader must have received everything, and closing them frees all."""
        self.log.is_down = False
        for reader in self.readers:
            reader.may_read.set()
        self._run(self._compare())
        self._run(self._rest())
        self.nobody_receives_anything_wrong()
        for reader in self.readers:
            assert reader.at == self._newest(reader), f"received until {reader.at} of {self._newest(reader)}"
            self._run(self._close(reader))
        assert self.hub.followed_accounts == 0
        self.is_over.set()
        self._run(self.life)

    def close(self) -> None:
        """Clean up after a failure."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self._run(_iterations(ITERATIONS_TO_END))
        self.loop.close()

    async def _live(self) -> None:
        """Run the machine with the hub's catch-ups in one task group."""
        async with asyncio.TaskGroup() as tasks:
            hub = ChangeHub(NO_REDIS, log=self.log, signer=SIGNER, settings=TIGHT, telemetry=TELEMETRY, tasks=tasks)
            self.opened.set_result(hub)
            await self.is_over.wait()
            hub.stop_catching_up()

    def _follow(self, reader: Reader) -> None:
        reader.may_read.set()
        reader.task = self.loop.create_task(reader.read())
        self.readers.append(reader)
        self._run(_iterations(1))

    async def _receive(self, hint: Message) -> None:
        self.hub.receive(hint)

    async def _compare(self) -> None:
        with suppress(UnavailableError):
            await self.hub.compare_all()

    async def _rest(self) -> None:
        """Wait until every reader has received the newest change."""
        for _ in range(ITERATIONS_TO_REST):
            if all(self._has_received_all(reader) for reader in self.readers):
                return
            await _iterations(1)

    async def _close(self, reader: Reader) -> None:
        assert reader.task is not None
        reader.task.cancel()
        await asyncio.wait([reader.task])
        await reader.items.aclose()

    def _has_received_all(self, reader: Reader) -> bool:
        last = reader.received[-1] if reader.received else None
        return last is not None and _number(last, of_order=reader.order is not None) == self._newest(reader)

    def _newest(self, reader: Reader) -> int:
        return len(self.log.changes[reader.account_id]) if reader.order is None else self._version(reader.order)

    def _version(self, order: OrderSnapshot) -> int:
        newest = self.log.newest(order.id)
        assert newest is not None
        return newest.version

    def _run(self, work: Awaitable[object]) -> None:
        self.loop.run_until_complete(work)


def _number(item: Item, *, of_order: bool) -> int:
    match item:
        case Checkpoint(sequence=number) | Reset(sequence=number):
            return number
        case UpToDate(version=number) | OrderSnapshot(version=number):
            return number
        case RecordedChange():
            return item.order.version if of_order else item.sequence


async def _iterations(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _position(newest: int, back: int) -> tuple[int | None, int | None]:
    """Return the start position: None for now, or some changes back; and the reader's known version, unless it is
    to be read.
    """
    if back < FROM_NOW_BELOW:
        return None, None
    after = max(newest + 1 - (back - FROM_NOW_BELOW), 0)
    return after, after if after <= newest else None
