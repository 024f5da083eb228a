"""Following the stream: missed reports are caught up, repeats change nothing, unreadable reports are set aside."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.model.errors import UnavailableError
from domain.model.order import OrderStatus, VenueRank
from domain.model.reports import OrderAccepted
from domain.ports.telemetry import Metric
from domain.ports.venue import ExternalReport, ListedFill, UnreadableReport
from ingest.batch_recorder import UNKNOWN_ORDER
from tests.ingest.running_consumer import WAITING_REPORTS_MAX, fill, following, placed, report_of, soon
from tests.support.examples import new_order
from tests.support.fakes.clock import MIDNIGHT
from tests.support.fakes.venue import ScriptedVenue
from tests.support.memory_gateway import Desk


@dataclass(slots=True)
class HangingVenue(ScriptedVenue):
    """A venue whose list of fills never arrives."""

    async def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:
        self.fills_since.append(since)
        await asyncio.Event().wait()
        yield []


@dataclass(slots=True)
class SlowlyClosedVenue(ScriptedVenue):
    """A venue whose list of fills never arrives, and whose request takes until `may_close` to be canceled."""

    is_closing: asyncio.Event = field(default_factory=asyncio.Event)
    may_close: asyncio.Event = field(default_factory=asyncio.Event)

    async def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:
        self.fills_since.append(since)
        try:
            await asyncio.Event().wait()
        finally:
            self.is_closing.set()
            await self.may_close.wait()
        yield []


async def test_fills_from_the_stream_are_recorded_and_published_in_order() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk) as at_work:
        at_work.stream.live.put_nowait(report_of(order, fill(1, quantity=40, cumulative=40)))
        at_work.stream.live.put_nowait(report_of(order, fill(2, quantity=60, cumulative=100)))
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")

    assert [change.order.filled_quantity for change in desk.publisher.changes[-2:]] == [40, 100]


async def test_a_repeated_report_changes_and_publishes_nothing() -> None:
    desk = Desk()
    order = await placed(desk)
    filled = report_of(order, fill(1, quantity=40, cumulative=40))

    async with following(desk) as at_work:
        at_work.stream.live.put_nowait(filled)
        await soon(lambda: at_work.status(order) is OrderStatus.PARTIALLY_FILLED, "partially filled")
        published = len(desk.publisher.changes)
        at_work.stream.live.put_nowait(filled)
        at_work.stream.live.put_nowait(UnreadableReport(raw=b"{", error="a mark that the repeat was read"))
        await soon(lambda: bool(at_work.letters.letters), "the repeat was read")

    assert len(desk.publisher.changes) == published
    assert desk.orders.rows[order.id].order.facts.filled_quantity == 40


async def test_fills_missed_before_the_connection_are_caught_up_over_rest() -> None:
    desk = Desk()
    order = await placed(desk)
    desk.venue.fill_pages = [[report_of(order, fill(1, quantity=100, cumulative=100))]]

    async with following(desk) as at_work:
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")

    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") == 1


async def test_a_checksum_that_shows_a_missed_fill_starts_a_catch_up() -> None:
    desk = Desk()
    order = await placed(desk)
    missed, seen = fill(1, quantity=40, cumulative=40), fill(2, quantity=60, cumulative=100)

    async with following(desk) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") > 0, "the first catch-up")
        desk.venue.fill_pages = [[report_of(order, missed)]]
        at_work.stream.live.put_nowait(report_of(order, seen))
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")

    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="missed_fill") == 1


async def test_a_stream_that_ends_is_followed_again_and_caught_up() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk) as at_work:
        await soon(lambda: at_work.stream.sessions == 1, "connected")
        desk.venue.fill_pages = [[report_of(order, fill(1, quantity=100, cumulative=100))]]
        at_work.stream.refused_sessions = 2
        at_work.stream.live.put_nowait(None)
        await soon(lambda: at_work.stream.sessions == 2, "connected again")
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")
        # A catch-up without a stream may fill it first.
        await soon(lambda: at_work.stream.sessions == 2, "connected again")

    assert desk.telemetry.counted(Metric.STREAM_RECONNECTS) == 3


async def test_a_report_that_cannot_be_understood_is_stored_raw_and_the_rest_is_recorded() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk) as at_work:
        at_work.stream.live.put_nowait(UnreadableReport(raw=b'{"event": 7}', error="no such event"))
        at_work.stream.live.put_nowait(report_of(order, fill(1, quantity=100, cumulative=100)))
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")

    assert at_work.letters.letters == [("no such event", b'{"event": 7}')]


async def test_reports_wait_for_a_database_that_is_away() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") > 0, "the first catch-up")
        desk.orders.failure = UnavailableError()
        at_work.stream.live.put_nowait(report_of(order, fill(1, quantity=100, cumulative=100)))
        await soon(lambda: bool(desk.telemetry.said("recording_failing")), "recording fails")
        desk.orders.failure = None
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")


async def test_a_buffer_that_overflows_ends_the_session_and_nothing_is_lost() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk, buffer_items_max=2) as at_work:
        await soon(lambda: at_work.stream.sessions == 1, "connected")
        desk.orders.failure = UnavailableError()
        desk.venue.fill_pages = [[report_of(order, fill(1, quantity=100, cumulative=100))]]
        for _ in range(10):
            at_work.stream.live.put_nowait(
                report_of(order, OrderAccepted(venue_order_id="V1", rank=VenueRank.WORKING, at=MIDNIGHT))
            )
        await soon(lambda: at_work.stream.sessions >= 2, "a new session")
        desk.orders.failure = None
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")


async def test_external_reports_are_counted_and_hold_up_nothing_while_rest_is_down() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") > 0, "the first catch-up")
        desk.venue.is_reachable = False
        at_work.stream.live.put_nowait(ExternalReport(venue_order_id="V9"))
        at_work.stream.live.put_nowait(report_of(order, fill(1, quantity=100, cumulative=100)))
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")

    assert desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 1
    assert "find V9" not in desk.venue.asked


async def test_a_report_about_an_order_that_is_not_stored_yet_waits_for_it() -> None:
    desk = Desk()
    late = new_order()

    async with following(desk) as at_work:
        at_work.stream.live.put_nowait(report_of(late, fill(1, quantity=100, cumulative=100)))
        await soon(lambda: at_work.waiting == 1, "it waits")
        await desk.orders.store(late)
        await soon(lambda: at_work.status(late) is OrderStatus.FILLED, "filled")
        await soon(lambda: at_work.waiting == 0, "nothing waits")

    assert at_work.letters.letters == []


async def test_a_report_whose_order_never_appears_is_stored_raw() -> None:
    desk = Desk()
    report = replace(report_of(new_order(), fill(1, quantity=100, cumulative=100)), raw=b"as it came")

    async with following(desk, wait_seconds=0.02) as at_work:
        at_work.stream.live.put_nowait(report)
        await soon(lambda: bool(at_work.letters.letters), "it is kept")

    assert at_work.letters.letters == [(f"{UNKNOWN_ORDER}: {report.venue_client_order_id}", b"as it came")]
    assert at_work.waiting == 0


async def test_no_more_reports_wait_than_the_bound() -> None:
    desk = Desk()
    reports = [
        replace(report_of(new_order(), fill(number, quantity=1, cumulative=1)), raw=b"%d" % number)
        for number in range(3)
    ]

    async with following(desk) as at_work:
        for report in reports:
            at_work.stream.live.put_nowait(report)
        await soon(lambda: bool(at_work.letters.letters), "one is kept")

    assert at_work.waiting == WAITING_REPORTS_MAX
    assert [raw for _, raw in at_work.letters.letters] == [b"2"]


async def test_while_no_session_can_be_opened_the_venue_is_queried() -> None:
    desk = Desk()
    order = await placed(desk)
    desk.venue.fill_pages = [[report_of(order, fill(1, quantity=100, cumulative=100))]]

    async with following(desk, refused_sessions=1_000_000) as at_work:
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")

    assert at_work.stream.sessions == 0
    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="unheard") >= 1


async def test_a_silent_stream_is_closed_when_the_venue_has_reports_missing_on_it() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk, silence=timedelta(milliseconds=50)) as at_work:
        await soon(lambda: at_work.stream.sessions == 1, "connected")
        desk.venue.fill_pages = [[report_of(order, fill(1, quantity=40, cumulative=40))]]
        await soon(lambda: at_work.stream.sessions == 2, "a new session")

    assert at_work.status(order) is OrderStatus.PARTIALLY_FILLED
    assert "that its stream did not send" in str(desk.telemetry.said("stream_lost")[0]["error"])


async def test_a_stream_that_is_silent_all_night_stays_open_while_the_venue_has_nothing_new() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk, silence=timedelta(milliseconds=2)) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="silence") > 20, "twenty spans of silence")

        assert at_work.stream.sessions == 1
        desk.venue.fill_pages = [[report_of(order, fill(1, quantity=40, cumulative=40))]]
        await soon(lambda: at_work.stream.sessions == 2, "a new session")

    assert at_work.status(order) is OrderStatus.PARTIALLY_FILLED


async def test_a_silent_stream_is_closed_although_another_process_records_first_its_missing_reports() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk, silence=timedelta(milliseconds=20)) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="silence") > 1, "a span of silence")
        missed = fill(1, quantity=40, cumulative=40)
        await desk.recording.record({order.venue_client_order_id: [missed]})
        desk.venue.fill_pages = [[report_of(order, missed)]]
        await soon(lambda: at_work.stream.sessions == 2, "a new session")

    assert "that its stream did not send" in str(desk.telemetry.said("stream_lost")[0]["error"])


async def test_a_silent_stream_is_closed_although_a_periodic_catch_up_finds_first_its_missing_reports() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk, silence=timedelta(milliseconds=400)) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") == 1, "connected")
        desk.venue.fill_pages = [[report_of(order, fill(1, quantity=40, cumulative=40))]]
        await at_work.consumer._catch_up(cause="periodic")  # noqa: SLF001 - as its own loop calls it
        assert at_work.status(order) is OrderStatus.PARTIALLY_FILLED
        await soon(lambda: at_work.stream.sessions == 2, "a new session")


async def test_what_was_missed_before_the_connect_is_no_reason_to_leave_the_stream() -> None:
    desk = Desk()
    order = await placed(desk)
    desk.venue.fill_pages = [[report_of(order, fill(1, quantity=40, cumulative=40))]]

    async with following(desk, silence=timedelta(milliseconds=20)) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="silence") > 2, "spans of silence")

    assert at_work.status(order) is OrderStatus.PARTIALLY_FILLED
    assert at_work.stream.sessions == 1


async def test_a_fill_that_the_stream_sent_and_the_venue_lists_too_is_no_reason_to_leave_it() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk, silence=timedelta(milliseconds=20)) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="silence") > 1, "a span of silence")
        sent = report_of(order, fill(1, quantity=40, cumulative=40))
        await at_work.stream.live.put(sent)
        desk.venue.fill_pages = [[sent]]
        await soon(lambda: at_work.status(order) is OrderStatus.PARTIALLY_FILLED, "recorded")
        probes = desk.telemetry.counted(Metric.CATCH_UPS, cause="silence")
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="silence") > probes + 3, "more silence")

    assert at_work.stream.sessions == 1


async def test_a_stream_may_be_silent_while_no_order_is_open() -> None:
    desk = Desk()
    order = await placed(desk)
    desk.venue.fill_pages = [[report_of(order, fill(1, quantity=100, cumulative=100))]]

    async with following(desk, silence=timedelta(milliseconds=5)) as at_work:
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")
        asked = desk.orders.asked_for_open
        await soon(lambda: desk.orders.asked_for_open > asked + 10, "ten spans of silence")

    assert at_work.stream.sessions == 1
    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="silence") == 0


async def test_a_catch_up_that_takes_long_does_not_hold_back_the_stream() -> None:
    desk = Desk()
    order = await placed(desk)
    desk.venue = HangingVenue(desk.clock, orders=desk.venue.orders)

    async with following(desk, connect_catch_up=timedelta(milliseconds=20)) as at_work:
        at_work.stream.live.put_nowait(report_of(order, fill(1, quantity=100, cumulative=100)))
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")

    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") == 1


async def test_a_consumer_that_is_cancelled_while_a_lost_session_is_closed_ends() -> None:
    desk = Desk()
    await placed(desk)
    venue = desk.venue = SlowlyClosedVenue(desk.clock, orders=desk.venue.orders)

    async with following(desk) as at_work:
        await soon(lambda: at_work.stream.sessions == 1, "connected")
        at_work.stream.live.put_nowait(None)
        await venue.is_closing.wait()
        at_work.running.cancel()
        await asyncio.sleep(0)
        venue.may_close.set()
        await soon(at_work.running.done, "the consumer has ended")

    assert at_work.stream.sessions == 1


async def test_catch_ups_that_fail_are_made_at_pauses_that_double() -> None:
    desk = Desk()
    await placed(desk)
    desk.venue.is_reachable = False
    clock = asyncio.get_running_loop().time

    async with following(desk):
        began_at = clock()
        await soon(lambda: len(desk.telemetry.said("catch_up_failed")) >= 8, "eight catch-ups failed")

    assert clock() - began_at >= sum(2**number for number in range(6)) / 1000


async def test_a_waiting_report_that_cannot_be_applied_stops_neither_ingest_nor_other_waiting_reports() -> None:
    desk = Desk()
    first = await placed(desk)
    second = new_order(client_order_id="intent-2")
    # The venue gives two orders one execution id.
    reused = report_of(second, fill(1, quantity=3, cumulative=3))
    other = report_of(second, fill(2, quantity=4, cumulative=7))

    async with following(desk) as at_work:
        at_work.stream.live.put_nowait(report_of(first, fill(1, quantity=5, cumulative=5)))
        for report in (reused, other):
            at_work.stream.live.put_nowait(report)
        await soon(lambda: at_work.waiting == 2, "both wait")
        await desk.orders.store(second)
        await soon(lambda: at_work.waiting == 0 or at_work.running.done(), "none waits")

        assert not at_work.running.done()
        assert desk.order(second.id).facts.filled_quantity == 4
        assert len(at_work.letters.letters) == 1
