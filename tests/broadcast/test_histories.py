"""Exactly once and in order, in many histories in which hints are dropped, repeated, reordered and late.

A history commits changes to a log, passes hints to the hub in a disturbed order, opens and closes subscribers and
disconnects the database for a while. At the end every subscriber must have received exactly the log.
"""

import asyncio
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.account_stream import AccountStream
from broadcast.envelope import Message
from broadcast.messages import encode
from broadcast.subscriber import Subscriber
from domain.model.changes import OrderSnapshot, RecordedChange
from domain.model.order import OrderStatus
from domain.ports.notifications import Checkpoint, Reset
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.live_feeds import QUICK, Collected, Listening, a_feed
from tests.support.signed_messages import SIGNER

HISTORIES = 40
STEPS = 120
TIGHT = replace(
    QUICK, early_max_changes=5, subscriber_buffer_max_changes=4, page_max_changes=3, comparison_max_accounts=1
)
ACCOUNTS = ("one", "two")


class History:
    """One history, by its seed."""

    def __init__(self, listening: Listening, log: ChangeHistory, seed: int) -> None:
        self.random = Random(seed)
        self._listening = listening
        self._log = log
        self._hints: list[Message] = []
        self._closing: list[asyncio.Task[None]] = []
        self._orders = [
            a_snapshot(10 * n + m, account_id=account_id) for n, account_id in enumerate(ACCOUNTS) for m in range(1, 4)
        ]
        self.accounts: list[tuple[str, Collected]] = []
        self.orders: list[tuple[OrderSnapshot, int | None, Collected]] = []
        for order in self._orders:
            log.append(order)

    async def step(self) -> None:
        """Execute one event."""
        action = self.random.choices(
            [self._commit, self._hint, self._open_account, self._open_order, self._close, self._stall, self._database],
            weights=[10, 10, 1, 1, 0.5, 1, 0.5],
        )[0]
        action()
        if self.random.random() < 0.5:
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Restore everything and wait until every subscriber has received the newest change."""
        self._log.is_down = False
        for subscriber in self._subscribers():
            subscriber.read.set()
        for account_id, subscriber in self.accounts:
            newest = len(self._log.changes[account_id])
            await subscriber.until(lambda subscriber=subscriber, newest=newest: _position(subscriber) >= newest)  # type: ignore[misc] # mypy cannot infer the defaults of a lambda
        for order, after, subscriber in self.orders:
            version = self._version(order)
            await subscriber.until(lambda seen=(subscriber, after), version=version: _version(*seen) >= version)  # type: ignore[misc] # as above

    async def close(self) -> None:
        """Close every subscriber."""
        await asyncio.gather(*self._closing, *(subscriber.close() for subscriber in self._subscribers()))

    def _subscribers(self) -> list[Collected]:
        return [subscriber for _, subscriber in self.accounts] + [subscriber for _, _, subscriber in self.orders]

    def _version(self, order: OrderSnapshot) -> int:
        newest = self._log.newest(order.id)
        assert newest is not None
        return newest.version

    def _commit(self) -> None:
        order = self.random.choice(self._orders)
        changes = [self._log.append(order) for _ in range(self.random.randint(1, 3))]
        if self.random.random() < 0.8:
            self._hints.append(encode(changes, signer=SIGNER))

    def _hint(self) -> None:
        if self._hints:
            place = self.random.randrange(len(self._hints))
            hint = self._hints[place] if self.random.random() < 0.2 else self._hints.pop(place)
            self._listening.hub.receive(hint)

    def _open_account(self) -> None:
        account_id = self.random.choice(ACCOUNTS)
        newest = len(self._log.changes[account_id])
        after = self.random.choice([None, self.random.randint(0, newest)])
        if not self._log.is_down:
            subscriber = Collected(self._listening.feed.account(account_id, after=after))
            self.accounts.append((account_id, subscriber))

    def _open_order(self) -> None:
        order = self.random.choice(self._orders)
        after = self.random.choice([None, self.random.randint(0, self._version(order))])
        if not self._log.is_down:
            feed = self._listening.feed.order(order.id, account_id=order.account_id, after_version=after)
            self.orders.append((order, after, Collected(feed)))

    def _stall(self) -> None:
        if subscribers := self._subscribers():
            read = self.random.choice(subscribers).read
            read.clear() if read.is_set() else read.set()

    def _close(self) -> None:
        if self.accounts:
            _, subscriber = self.accounts.pop(self.random.randrange(len(self.accounts)))
            self._closing.append(asyncio.create_task(subscriber.close()))

    def _database(self) -> None:
        # Opening a subscription fails while the database is unreachable; that is not tested here.
        opened = all(subscriber.items for subscriber in self._subscribers())
        self._log.is_down = not self._log.is_down and opened


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_every_subscriber_sees_each_change_once_and_in_order(seed: int) -> None:
    log = ChangeHistory()
    async with a_feed(log, settings=TIGHT) as listening:
        history = History(listening, log, seed)
        try:
            for _ in range(STEPS):
                await history.step()
            await history.end()
        finally:
            await history.close()

        for account_id, subscriber in history.accounts:
            start = subscriber.items[0]
            assert isinstance(start, Checkpoint)
            assert subscriber.items[1:] == log.changes[account_id][start.sequence :]
        for order, after, subscriber in history.orders:
            changes = [change for change in log.changes[order.account_id] if change.order.id == order.id]
            if after is None:
                first = subscriber.items[0]
                assert isinstance(first, OrderSnapshot)
                assert subscriber.items[1:] == changes[first.version :]
            else:
                assert subscriber.items == changes[after:]
        assert listening.hub.followed_accounts == 0


@settings(max_examples=300)
@given(
    deliveries=st.lists(st.integers(1, 12), max_size=60),
    position=st.integers(0, 5),
    start_after=st.integers(0, 20),
)
def test_an_account_stream_passes_on_the_longest_run_and_knows_the_missing_changes(
    deliveries: list[int], position: int, start_after: int
) -> None:
    log = ChangeHistory()
    changes = [log.append(a_snapshot(), status=OrderStatus.PLACED) for _ in range(12)]
    stream = AccountStream("demo", early_max_changes=100)
    subscriber = Subscriber(buffer_max_changes=100)
    stream.add(subscriber, order_id=None)

    for count, number in enumerate(deliveries):
        if count == start_after:
            stream.start(position)
        stream.receive([changes[number - 1]], newest=number)
    stream.start(position)

    received = {number for number in deliveries if number > position}
    run = position
    while run + 1 in received:
        run += 1
    assert [change.sequence for change in subscriber.take()] == list(range(position + 1, run + 1))
    assert stream.position == run
    assert stream.is_behind is (max(received, default=0) > run)


def _position(subscriber: Collected) -> int:
    if not subscriber.items:
        return -1
    last = subscriber.items[-1]
    assert isinstance(last, Checkpoint | Reset | RecordedChange)
    return last.sequence


def _version(subscriber: Collected, after: int | None) -> int:
    if not subscriber.items:
        return -1 if after is None else after
    last = subscriber.items[-1]
    assert isinstance(last, OrderSnapshot | RecordedChange)
    return last.version if isinstance(last, OrderSnapshot) else last.order.version
