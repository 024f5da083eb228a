"""The subscription protocol as a state machine: whatever happens in whatever order, nobody is told anything wrong.

The hub, the feeds and the subscribers are the product's; only Redis and time are left out: hints are handed over by
hand, and the comparison is made when the machine says so.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from broadcast.feed import HubFeed
from broadcast.hub import ChangeHub
from broadcast.messages import encode
from domain.changes import OrderSnapshot, RecordedChange
from domain.errors import Unavailable
from domain.ports.telling import Checkpoint, Reset, UpToDate
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.broadcast.listening import NO_REDIS, UNHURRIED
from tests.fakes.telemetry import RecordingTelemetry

EXAMPLES = 1_000
STEPS_OF_AN_EXAMPLE = 40
TURNS_TO_REST = 2_000
TIGHT = replace(
    UNHURRIED,
    settle_seconds=0,
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
    """A subscriber of an account, or of one of its orders, and where it has come to.

    `at` is the number of the last change that it knows: a sequence, or for an order a version.
    """

    account_id: str
    order: OrderSnapshot | None
    at: int | None
    items: AsyncGenerator[Any]
    may_read: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[Item] = field(default_factory=list)
    checked: int = 0
    task: asyncio.Task[None] | None = None

    async def read(self) -> None:
        async for item in self.items:
            self.told.append(item)
            await self.may_read.wait()

    def check(self, item: Item) -> None:
        """Nothing twice, nothing left out, nothing old; a jump only where what was missed is gone."""
        number = _number(item, of_order=self.order is not None)
        if isinstance(item, RecordedChange):
            assert self.at is not None
            assert number == self.at + 1, (self.at, item)
        elif isinstance(item, Checkpoint | UpToDate):
            assert self.at is None or number == self.at, (self.at, item)
        else:
            assert self.at is None or number >= self.at, (self.at, item)
        self.at = number


class SubscriptionProtocol(RuleBasedStateMachine):
    """Commits, hints, readers and the database, one step at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.log = ChangeHistory()
        self.hints: list[bytes] = []
        self.readers: list[Reader] = []
        for order in ORDERS:
            self.log.append(order)
        self.is_over = asyncio.Event()
        self.opened: asyncio.Future[ChangeHub] = self.loop.create_future()
        self.life = self.loop.create_task(self._live())
        self.hub = self.loop.run_until_complete(self.opened)
        self.feed = HubFeed(hub=self.hub, log=self.log, telemetry=TELEMETRY)

    @rule(order=st.sampled_from(ORDERS), count=st.integers(1, 4), is_published=st.booleans())
    def commit(self, order: OrderSnapshot, count: int, *, is_published: bool) -> None:
        """The publisher may die right after the commit."""
        changes = [self.log.append(order) for _ in range(count)]
        if is_published:
            self.hints.append(encode(changes))

    @precondition(lambda self: self.hints)
    @rule(place=st.integers(0, 100), is_repeated=st.booleans())
    def hint(self, place: int, *, is_repeated: bool) -> None:
        """Late, out of order, and perhaps once more."""
        number = place % len(self.hints)
        self._run(self._hear(self.hints[number] if is_repeated else self.hints.pop(number)))

    @rule()
    def lose_hints(self) -> None:
        """The link breaks."""
        self.hints.clear()

    @precondition(lambda self: not self.log.is_down and len(self.readers) < 6)
    @rule(account_id=st.sampled_from(ACCOUNTS), back=st.none() | st.integers(-1, 6))
    def follow_account(self, account_id: str, back: int | None) -> None:
        """From now on, or from some changes ago; -1 is a position of another history."""
        newest = len(self.log.changes[account_id])
        after = None if back is None else max(newest - back, 0)
        at = after if after is not None and after <= newest else None
        self._follow(Reader(account_id, None, at, self.feed.account(account_id, after=after)))

    @precondition(lambda self: not self.log.is_down and len(self.readers) < 6)
    @rule(order=st.sampled_from(ORDERS), back=st.none() | st.integers(-1, 4))
    def follow_order(self, order: OrderSnapshot, back: int | None) -> None:
        """As it stands, or after a version that was seen before."""
        newest = self._version(order)
        after = None if back is None else max(newest - back, 0)
        at = after if after is not None and after <= newest else None
        feed = self.feed.order(order.id, account_id=order.account_id, after_version=after)
        self._follow(Reader(order.account_id, order, at, feed))

    @precondition(lambda self: self.readers)
    @rule(place=st.integers(0, 100))
    def stall_or_go_on(self, place: int) -> None:
        """A slow peer."""
        may_read = self.readers[place % len(self.readers)].may_read
        may_read.clear() if may_read.is_set() else may_read.set()

    @precondition(lambda self: self.readers)
    @rule(place=st.integers(0, 100))
    def leave(self, place: int) -> None:
        """A peer that goes away."""
        self._run(self._close(self.readers.pop(place % len(self.readers))))

    @precondition(lambda self: all(reader.told for reader in self.readers))
    @rule()
    def take_or_give_back_the_database(self) -> None:
        """Only when everybody's subscription is open: opening one fails then, which is told."""
        self.log.is_down = not self.log.is_down

    @rule(account_id=st.sampled_from(ACCOUNTS), kept=st.integers(0, 3))
    def forget_old_changes(self, account_id: str, kept: int) -> None:
        """History is not kept for ever."""
        self.log.prune(account_id, through=max(len(self.log.changes[account_id]) - kept, 0))

    @rule()
    def compare(self) -> None:
        """What happens every five seconds."""
        self._run(self._compare())

    @rule(turns=st.integers(1, 8))
    def let_run(self, turns: int) -> None:
        """Let what is under way go on for a while."""
        self._run(_turns(turns))

    @invariant()
    def nobody_is_told_anything_wrong(self) -> None:
        """Each item as it is told."""
        for reader in self.readers:
            for item in reader.told[reader.checked :]:
                reader.check(item)
            reader.checked = len(reader.told)

    def teardown(self) -> None:
        """Everything comes back: then everybody has been told everything, and leaving frees all."""
        self.log.is_down = False
        for reader in self.readers:
            reader.may_read.set()
        self._run(self._compare())
        self._run(self._rest())
        self.nobody_is_told_anything_wrong()
        for reader in self.readers:
            assert reader.at == self._newest(reader), f"told until {reader.at} of {self._newest(reader)}"
            self._run(self._close(reader))
        assert self.hub.followed_accounts == 0
        self.is_over.set()
        self._run(self.life)
        self.loop.close()

    async def _live(self) -> None:
        """The hub's catch-ups belong to a task group that spans the machine's life."""
        async with asyncio.TaskGroup() as tasks:
            hub = ChangeHub(NO_REDIS, log=self.log, settings=TIGHT, telemetry=TELEMETRY, tasks=tasks)
            self.opened.set_result(hub)
            await self.is_over.wait()
            hub.stop_catching_up()

    def _follow(self, reader: Reader) -> None:
        reader.may_read.set()
        reader.task = self.loop.create_task(reader.read())
        self.readers.append(reader)
        self._run(_turns(1))

    async def _hear(self, hint: bytes) -> None:
        self.hub.hear(hint)

    async def _compare(self) -> None:
        with suppress(Unavailable):
            await self.hub.compare_all()

    async def _rest(self) -> None:
        """Wait until everybody has come to the newest change."""
        for _ in range(TURNS_TO_REST):
            if all(self._is_told_all(reader) for reader in self.readers):
                return
            await _turns(1)

    async def _close(self, reader: Reader) -> None:
        assert reader.task is not None
        reader.task.cancel()
        await asyncio.wait([reader.task])
        await reader.items.aclose()

    def _is_told_all(self, reader: Reader) -> bool:
        last = reader.told[-1] if reader.told else None
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


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_no_order_of_steps_makes_a_subscriber_be_told_anything_wrong() -> None:
    run_state_machine_as_test(
        SubscriptionProtocol,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS_OF_AN_EXAMPLE,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
