"""Following the stream: what is missed is caught up, what repeats changes nothing, what breaks is set aside."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from domain.errors import Unavailable, VenueUnreachable
from domain.executions import Trade
from domain.order import Order, OrderStatus, VenueRank
from domain.ports.venue import UnreadableReport, VenueReport
from domain.reports import OrderAccepted, OrderFilled, Report
from domain.telemetry import Metric
from ingest.consumer import Consumer, ConsumerPolicy
from ingest.recorder import UNKNOWN_ORDER, Recorder
from ingest.waiting import WaitingReports
from tests.desk import Desk
from tests.examples import new_order
from tests.fakes.clock import MIDNIGHT
from tests.processes import eventually

Item = VenueReport | UnreadableReport
SHORTLY = timedelta(milliseconds=1)
WAITING_REPORTS_MAX = 2


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
    recorder: Recorder

    @property
    def waiting(self) -> int:
        return len(self.recorder.waiting)

    def status(self, order: Order) -> OrderStatus:
        return self.desk.orders.rows[order.id].order.status


@asynccontextmanager
async def _following(
    desk: Desk,
    *,
    buffer_items_max: int = 1000,
    silence: timedelta = timedelta(seconds=60),
    wait_seconds: float = 60.0,
    refused_sessions: int = 0,
) -> AsyncIterator[Following]:
    stream, letters = ScriptedStream(refused_sessions=refused_sessions), KeptLetters()
    recorder = Recorder(
        reconciliation=desk.reconciliation,
        dead_letters=letters,
        waiting=WaitingReports(reports_max=WAITING_REPORTS_MAX, wait_seconds=wait_seconds),
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
        catch_up_unheard=SHORTLY,
        silence=silence,
        waiting_retry=SHORTLY,
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
        yield Following(desk=desk, stream=stream, letters=letters, recorder=recorder)
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

    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") == 1


async def test_a_checksum_that_shows_a_missed_fill_starts_a_catch_up() -> None:
    desk = Desk()
    order = await _placed(desk)
    missed, seen = _fill(1, quantity=40, cumulative=40), _fill(2, quantity=60, cumulative=100)

    async with _following(desk) as following:
        await _soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") > 0, "the first catch-up")
        desk.venue.fill_pages = [[_report(order, missed)]]
        following.stream.live.put_nowait(_report(order, seen))
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")

    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="missed_fill") == 1


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
    assert desk.telemetry.counted(Metric.STREAM_RECONNECTS) == 3


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
        await _soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") > 0, "the first catch-up")
        desk.orders.failure = Unavailable()
        following.stream.live.put_nowait(_report(order, _fill(1, quantity=100, cumulative=100)))
        await _soon(lambda: bool(desk.telemetry.said("recording_failing")), "recording fails")
        desk.orders.failure = None
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")


async def test_a_buffer_that_overflows_ends_the_session_and_nothing_is_lost() -> None:
    desk = Desk()
    order = await _placed(desk)

    async with _following(desk, buffer_items_max=2) as following:
        await _soon(lambda: following.stream.sessions == 1, "connected")
        desk.orders.failure = Unavailable()
        desk.venue.fill_pages = [[_report(order, _fill(1, quantity=100, cumulative=100))]]
        for _ in range(10):
            following.stream.live.put_nowait(
                _report(order, OrderAccepted(venue_order_id="V1", rank=VenueRank.WORKING, at=MIDNIGHT))
            )
        await _soon(lambda: following.stream.sessions >= 2, "a new session")
        desk.orders.failure = None
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")


async def test_a_report_of_an_order_placed_elsewhere_is_counted_and_left_alone() -> None:
    desk = Desk()
    foreign = VenueReport(order_id=None, venue_order_id="V9", reports=[_fill(9, quantity=1, cumulative=1)], at=MIDNIGHT)

    async with _following(desk) as following:
        following.stream.live.put_nowait(foreign)
        await _soon(lambda: desk.telemetry.counted(Metric.REPORTS_FOREIGN) == 1, "counted")

    assert desk.publisher.changes == []


async def test_a_report_about_an_order_that_is_not_stored_yet_waits_for_it() -> None:
    desk = Desk()
    late = new_order()

    async with _following(desk) as following:
        following.stream.live.put_nowait(_report(late, _fill(1, quantity=100, cumulative=100)))
        await _soon(lambda: following.waiting == 1, "it waits")
        await desk.orders.accept(late)
        await _soon(lambda: following.status(late) is OrderStatus.FILLED, "filled")
        await _soon(lambda: following.waiting == 0, "nothing waits")

    assert following.letters.letters == []


async def test_a_report_whose_order_never_comes_is_kept_raw() -> None:
    desk = Desk()
    report = replace(_report(new_order(), _fill(1, quantity=100, cumulative=100)), raw=b"as it came")

    async with _following(desk, wait_seconds=0.02) as following:
        following.stream.live.put_nowait(report)
        await _soon(lambda: bool(following.letters.letters), "it is kept")

    assert following.letters.letters == [(f"{UNKNOWN_ORDER}: {report.order_id}", b"as it came")]
    assert following.waiting == 0


async def test_no_more_reports_wait_than_there_is_room_for() -> None:
    desk = Desk()
    reports = [
        replace(_report(new_order(), _fill(number, quantity=1, cumulative=1)), raw=b"%d" % number)
        for number in range(3)
    ]

    async with _following(desk) as following:
        for report in reports:
            following.stream.live.put_nowait(report)
        await _soon(lambda: bool(following.letters.letters), "one is kept")

    assert following.waiting == WAITING_REPORTS_MAX
    assert [raw for _, raw in following.letters.letters] == [b"2"]


async def test_a_report_of_an_order_with_an_id_of_another_form_waits_for_nothing() -> None:
    desk = Desk()
    by_hand = VenueReport(
        order_id=uuid4(), venue_order_id="V9", reports=[_fill(9, quantity=1, cumulative=1)], at=MIDNIGHT
    )

    async with _following(desk) as following:
        following.stream.live.put_nowait(by_hand)
        await _soon(lambda: desk.telemetry.counted(Metric.REPORTS_FOREIGN) == 1, "counted")

    assert following.waiting == 0


async def test_while_no_session_can_be_opened_the_venue_is_asked() -> None:
    desk = Desk()
    order = await _placed(desk)
    desk.venue.fill_pages = [[_report(order, _fill(1, quantity=100, cumulative=100))]]

    async with _following(desk, refused_sessions=1_000_000) as following:
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")

    assert following.stream.sessions == 0
    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="unheard") >= 1


async def test_a_mute_stream_is_left_when_the_venue_has_news_of_which_it_said_nothing() -> None:
    desk = Desk()
    order = await _placed(desk)

    async with _following(desk, silence=timedelta(milliseconds=50)) as following:
        await _soon(lambda: following.stream.sessions == 1, "connected")
        desk.venue.fill_pages = [[_report(order, _fill(1, quantity=40, cumulative=40))]]
        await _soon(lambda: following.stream.sessions == 2, "a new session")

    assert following.status(order) is OrderStatus.PARTIALLY_FILLED
    assert "of which its stream said nothing" in str(desk.telemetry.said("stream_lost")[0]["error"])


async def test_a_stream_that_stays_silent_while_orders_are_open_is_left_after_a_second_span() -> None:
    desk = Desk()
    await _placed(desk)

    async with _following(desk, silence=timedelta(milliseconds=20)) as following:
        await _soon(lambda: following.stream.sessions == 2, "a new session")

    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="silence") >= 1
    assert "stays silent" in str(desk.telemetry.said("stream_lost")[0]["error"])


async def test_a_stream_may_be_silent_while_no_order_is_open() -> None:
    desk = Desk()
    order = await _placed(desk)
    desk.venue.fill_pages = [[_report(order, _fill(1, quantity=100, cumulative=100))]]

    async with _following(desk, silence=timedelta(milliseconds=5)) as following:
        await _soon(lambda: following.status(order) is OrderStatus.FILLED, "filled")
        asked = desk.orders.asked_for_open
        await _soon(lambda: desk.orders.asked_for_open > asked + 10, "ten spans of silence")

    assert following.stream.sessions == 1
    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="silence") == 0
