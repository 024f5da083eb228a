"""A batch that was decided while the previous one was written: it is not written before that one has finished."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from domain.model.errors import LeadershipLostError, UnavailableError
from domain.model.order import Order, OrderStatus
from domain.ports.ingest_state import Fence
from domain.ports.telemetry import Metric
from domain.ports.venue import UnreadableReport
from domain.services.order_cache import OrderCache
from tests.ingest.running_consumer import Following, fill, following, placed, report_of, soon
from tests.support.memory_gateway import Desk

FAILURES = 3
ROUNDS = 100
LEASE = timedelta(seconds=5)


@dataclass(slots=True)
class Held:
    """A write that has begun, and continues, or fails with the error, when released."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    async def wait(self) -> None:
        self.begun.set()
        await self.let_go.wait()
        if self.error is not None:
            raise self.error


async def two_batches_under_way(at_work: Following, first: Order, second: Order) -> Held:
    """Start two batches: the first order's fill is being written, and the second's is decided after it."""
    desk, held = at_work.desk, Held()
    await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") > 0, "the first catch-up")
    desk.orders.interruptions.appendleft(held.wait)
    at_work.stream.live.put_nowait(report_of(first, fill(1, quantity=100, cumulative=100)))
    await held.begun.wait()
    ids = desk.new_id.given
    at_work.stream.live.put_nowait(report_of(second, fill(2, quantity=100, cumulative=100)))
    # Its execution has got an id.
    await soon(lambda: desk.new_id.given > ids, "the batch behind is decided")
    return held


def written(desk: Desk, *, since: int) -> list[UUID]:
    return [write.order.id for writes in desk.orders.writes[since:] for write in writes]


async def test_the_first_is_sent_immediately_and_later_ones_together() -> None:
    desk, held = Desk(cache=OrderCache(orders_max=10)), Held()
    order = await placed(desk)

    async with following(desk, batch_within=timedelta(hours=1)) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") > 0, "the first catch-up")
        commits = len(desk.publisher.commits)
        desk.orders.interruptions.append(held.wait)
        for number in (1, 2, 3, 4):
            at_work.stream.live.put_nowait(report_of(order, fill(number, quantity=25, cumulative=25 * number)))
            await held.begun.wait()
        await soon(at_work.stream.live.empty, "all is read")
        held.let_go.set()
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")

    assert [len(commit) for commit in desk.publisher.commits[commits:]] == [1, 3]


async def test_it_waits_until_a_write_that_fails_is_written_at_last() -> None:
    desk = Desk(cache=OrderCache(orders_max=10))
    first, second = await placed(desk), await placed(desk, client_order_id="intent-2")
    writes, published = len(desk.orders.writes), len(desk.publisher.changes)

    async def fail() -> None:
        assert written(desk, since=writes) == []
        assert desk.publisher.changes[published:] == []
        raise UnavailableError

    async with following(desk, batch_items_max=1) as at_work:
        held = await two_batches_under_way(at_work, first, second)
        desk.orders.interruptions.extend([fail] * FAILURES)
        held.error = UnavailableError()
        held.let_go.set()
        await soon(lambda: at_work.status(second) is OrderStatus.FILLED, "filled")

    assert written(desk, since=writes) == [first.id, second.id]
    assert [change.order.id for change in desk.publisher.changes[published:]] == [first.id, second.id]


async def test_a_failure_by_itself_does_not_release_it() -> None:
    desk = Desk(cache=OrderCache(orders_max=10))
    first, second = await placed(desk), await placed(desk, client_order_id="intent-2")
    writes, published = len(desk.orders.writes), len(desk.publisher.changes)

    async with following(desk, batch_items_max=1, retry=timedelta(hours=1)) as at_work:
        held = await two_batches_under_way(at_work, first, second)
        held.error = UnavailableError()
        held.let_go.set()
        await soon(lambda: bool(desk.telemetry.said("recording_failing")), "recording fails")
        for _ in range(ROUNDS):
            await asyncio.sleep(0)

    assert written(desk, since=writes) == []
    assert desk.publisher.changes[published:] == []


async def test_a_batch_in_between_that_writes_nothing_does_not_let_later_ones_pass() -> None:
    desk, held = Desk(cache=OrderCache(orders_max=10)), Held()
    first, second = await placed(desk), await placed(desk, client_order_id="intent-2")
    writes = len(desk.orders.writes)

    async with following(desk, batch_items_max=1) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") > 0, "the first catch-up")
        desk.orders.interruptions.append(held.wait)
        at_work.stream.live.put_nowait(report_of(first, fill(1, quantity=100, cumulative=100)))
        at_work.stream.live.put_nowait(UnreadableReport(raw=b"{", error="a mark that it was read"))
        at_work.stream.live.put_nowait(report_of(second, fill(2, quantity=100, cumulative=100)))
        await soon(lambda: bool(at_work.letters.letters), "the batch in between is dealt with")
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        assert written(desk, since=writes) == []
        held.let_go.set()
        await soon(lambda: at_work.status(second) is OrderStatus.FILLED, "filled")

    assert written(desk, since=writes) == [first.id, second.id]


async def test_it_is_not_written_when_another_process_leads() -> None:
    desk = Desk(cache=OrderCache(orders_max=10))
    fence = await desk.positions.acquire(desk.venue.name, leader_id=UUID(int=1), lease=LEASE)
    assert isinstance(fence, Fence)
    desk.fence = fence
    first, second = await placed(desk), await placed(desk, client_order_id="intent-2")
    writes, published = len(desk.orders.writes), len(desk.publisher.changes)

    async with following(desk, batch_items_max=1) as at_work:
        held = await two_batches_under_way(at_work, first, second)
        desk.clock.advance(LEASE)
        await desk.positions.acquire(desk.venue.name, leader_id=UUID(int=2), lease=LEASE)
        held.let_go.set()
        await asyncio.wait([at_work.running])

        ended_by = at_work.running.exception()
        assert isinstance(ended_by, ExceptionGroup)
        assert ended_by.split(LeadershipLostError)[1] is None

    assert written(desk, since=writes) == []
    assert desk.publisher.changes[published:] == []


async def test_the_position_stays_before_what_was_not_recorded_when_the_session_ended() -> None:
    desk = Desk(cache=OrderCache(orders_max=10))
    first, second = await placed(desk), await placed(desk, client_order_id="intent-2")

    async with following(desk, batch_items_max=1) as at_work:
        held = await two_batches_under_way(at_work, first, second)
        position = await desk.positions.read(desk.venue.name)
        desk.clock.advance(timedelta(hours=1))
        desk.venue.fill_pages = [
            [report_of(first, fill(1, quantity=100, cumulative=100))],
            [report_of(second, fill(2, quantity=100, cumulative=100))],
        ]
        held.error = desk.orders.failure = UnavailableError()
        held.let_go.set()
        at_work.stream.live.put_nowait(None)
        await soon(lambda: bool(desk.telemetry.said("catch_up_failed")), "the next session's catch-up fails")
        assert await desk.positions.read(desk.venue.name) == position
        desk.orders.failure = None
        await soon(lambda: at_work.status(second) is OrderStatus.FILLED, "filled")

    assert at_work.status(first) is OrderStatus.FILLED
    assert desk.venue.fills_since[-1] == position
