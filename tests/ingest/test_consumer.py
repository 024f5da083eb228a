"""Following the stream: what is missed is caught up, what repeats changes nothing, what breaks is set aside."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from domain.errors import VenueUnreachable
from domain.executions import Trade
from domain.order import Order, OrderStatus, VenueRank
from domain.ports import UnreadableReport, VenueReport
from domain.reports import OrderAccepted, OrderFilled, Report
from domain.telemetry import Metric
from ingest.consumer import Consumer, ConsumerPolicy
from ingest.recorder import Recorder
from tests.desk import Desk
from tests.memory import MIDNIGHT
from tests.orders import new_order
from tests.processes import eventually

Item = VenueReport | UnreadableReport
SHORTLY = timedelta(milliseconds=1)


@dataclass(slots=True)
class ScriptedStream:
    """A stream whose sessions a test feeds; each connect opens the next one."""

    live: asyncio.Queue[Item | None] = field(default_factory=asyncio.Queue)
    sessions: int = 0
    refused_sessions: int = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncIterator[Item]]:
        if self.refused_sessions:
            self.refused_sessions -= 1
            raise VenueUnreachable("the venue refuses a second connection")
        self.sessions += 1
        yield self._reports()

    async def _reports(self) -> AsyncIterator[Item]:
        while True:
            item = await self.live.get()
            if item is None:
                return
            yield item


@dataclass(slots=True)
class KeptLetters:
    """DeadLetters in memory."""

    letters: list[tuple[str, bytes]] = field(default_factory=list)

    async def keep(self, *, source: str, error: str, raw: bytes) -> None:  # noqa: ARG002 - the port's shape
        self.letters.append((error, raw))


@dataclass(slots=True)
class Following:
    """A consumer at work, and what it works with."""

    desk: Desk
    stream: ScriptedStream
    letters: KeptLetters

    def status(self, order: Order) -> OrderStatus:
        return self.desk.orders.rows[order.id].order.status


@asynccontextmanager
async def _following(desk: Desk, *, buffer_items_max: int = 1000) -> AsyncIterator[Following]:
    stream, letters = ScriptedStream(), KeptLetters()
    recorder = Recorder(
        reconciliation=desk.reconciliation,
        dead_letters=letters,
        telemetry=desk.telemetry,
        clock=desk.clock,
        retry=SHORTLY,
    )
    policy = ConsumerPolicy(
        buffer_items_max=buffer_items_max,
        batch_items_max=500,
        batch_within=timedelta(milliseconds=5),
        reconnect_first=SHORTLY,
        reconnect_max=SHORTLY * 10,
        session_min=timedelta(seconds=5),
        catch_up_every=timedelta(seconds=60),
        catch_up_pause=SHORTLY,
    )
    consumer = Consumer(
        stream=stream,
        recorder=recorder,
        reconciliation=desk.reconciliation,
        telemetry=desk.telemetry,
        policy=policy,
    )
    running = asyncio.create_task(consumer.run())
    try:
        yield Following(desk=desk, stream=stream, letters=letters)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _placed(desk: Desk) -> Order:
    order = new_order()
    await desk.orders.accept(order)
    await desk.submission.place([order.id])
    return order


def _report(order: Order, *reports: Report) -> VenueReport:
    return VenueReport(order_id=order.id, venue_order_id="V1", reports=reports, at=MIDNIGHT)


def _fill(number: int, *, quantity: int, cumulative: int) -> OrderFilled:
    return OrderFilled(
        venue_execution_id=f"E{number}",
        trade=Trade(quantity=Decimal(quantity), price=Decimal("190.25")),
        cumulative_quantity=Decimal(cumulative),
        venue_order_id="V1",
        at=MIDNIGHT,
    )


async def _soon(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], what: str) -> None:
    await eventually(condition, within_seconds=5, what=what)


async def test_fills_from_the_stream_are_recorded_and_published_in_order() -> None:
    desk = Desk()
    order = await _placed(desk)

    async with _following(desk) as following:
        following.stream.live.put_nowait(_report(order, _fill(1, quantity=40, cumulative=40)))
        following.stream.live.put_nowait(_report(order, _fill(2, quantity=60, cumulative=100)))
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")

    assert [change.order.filled_quantity for change in desk.publisher.changes[-2:]] == [40, 100]


async def test_a_repeated_report_changes_and_publishes_nothing() -> None:
    desk = Desk()
    order = await _placed(desk)
    fill = _report(order, _fill(1, quantity=40, cumulative=40))

    async with _following(desk) as following:
        following.stream.live.put_nowait(fill)
        await _soon(lambda: following.status(order) is OrderStatus.PARTIALLY_FILLED, "partially filled")
        published = len(desk.publisher.changes)
        following.stream.live.put_nowait(fill)
        following.stream.live.put_nowait(UnreadableReport(raw=b"{", error="a mark that the repeat was read"))
        await _soon(lambda: bool(following.letters.letters), "the repeat was read")

    assert len(desk.publisher.changes) == published
    assert desk.orders.rows[order.id].order.facts.filled_quantity == 40


async def test_fills_missed_before_the_connection_are_caught_up_over_rest() -> None:
    desk = Desk()
    order = await _placed(desk)
    desk.venue.fill_pages = [[_report(order, _fill(1, quantity=100, cumulative=100))]]

    async with _following(desk) as following:
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")

    assert desk.telemetry.counts[(Metric.CATCH_UPS, "connect")] == 1


async def test_a_checksum_that_shows_a_missed_fill_starts_a_catch_up() -> None:
    desk = Desk()
    order = await _placed(desk)
    missed, seen = _fill(1, quantity=40, cumulative=40), _fill(2, quantity=60, cumulative=100)

    async with _following(desk) as following:
        await _soon(lambda: (Metric.CATCH_UPS, "connect") in desk.telemetry.counts, "the first catch-up")
        desk.venue.fill_pages = [[_report(order, missed)]]
        following.stream.live.put_nowait(_report(order, seen))
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")

    assert desk.telemetry.counts[(Metric.CATCH_UPS, "missed_fill")] == 1


async def test_a_stream_that_ends_is_followed_again_and_caught_up() -> None:
    desk = Desk()
    order = await _placed(desk)

    async with _following(desk) as following:
        await _soon(lambda: following.stream.sessions == 1, "connected")
        desk.venue.fill_pages = [[_report(order, _fill(1, quantity=100, cumulative=100))]]
        following.stream.refused_sessions = 2
        following.stream.live.put_nowait(None)
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")

    assert following.stream.sessions == 2
    assert desk.telemetry.counts[(Metric.STREAM_RECONNECTS,)] == 3


async def test_a_report_that_cannot_be_understood_is_kept_raw_and_the_rest_goes_on() -> None:
    desk = Desk()
    order = await _placed(desk)

    async with _following(desk) as following:
        following.stream.live.put_nowait(UnreadableReport(raw=b'{"event": 7}', error="no such event"))
        following.stream.live.put_nowait(_report(order, _fill(1, quantity=100, cumulative=100)))
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")

    assert following.letters.letters == [("no such event", b'{"event": 7}')]


async def test_reports_wait_for_a_database_that_is_away() -> None:
    desk = Desk()
    order = await _placed(desk)

    async with _following(desk) as following:
        await _soon(lambda: (Metric.CATCH_UPS, "connect") in desk.telemetry.counts, "the first catch-up")
        desk.orders.is_available = False
        following.stream.live.put_nowait(_report(order, _fill(1, quantity=100, cumulative=100)))
        await _soon(lambda: bool(desk.telemetry.named("recording_failing")), "recording fails")
        desk.orders.is_available = True
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")


async def test_a_buffer_that_overflows_ends_the_session_and_nothing_is_lost() -> None:
    desk = Desk()
    order = await _placed(desk)

    async with _following(desk, buffer_items_max=2) as following:
        await _soon(lambda: following.stream.sessions == 1, "connected")
        desk.orders.is_available = False
        desk.venue.fill_pages = [[_report(order, _fill(1, quantity=100, cumulative=100))]]
        for _ in range(10):
            following.stream.live.put_nowait(
                _report(order, OrderAccepted(venue_order_id="V1", rank=VenueRank.WORKING, at=MIDNIGHT))
            )
        await _soon(lambda: following.stream.sessions >= 2, "a new session")
        desk.orders.is_available = True
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")


async def test_a_report_of_an_order_placed_elsewhere_is_counted_and_left_alone() -> None:
    desk = Desk()
    foreign = VenueReport(order_id=None, venue_order_id="V9", reports=[_fill(9, quantity=1, cumulative=1)], at=MIDNIGHT)

    async with _following(desk) as following:
        following.stream.live.put_nowait(foreign)
        await _soon(lambda: desk.telemetry.counts[(Metric.REPORTS_FOREIGN,)] == 1, "counted")

    assert desk.publisher.changes == []
