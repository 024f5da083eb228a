"""Reports without a client order id: their order is looked up concurrently with the stream."""

from domain.model.errors import VenueUnreachableError
from domain.model.order import OrderStatus
from domain.ports.telemetry import Metric
from domain.ports.venue import ExternalOrder, VenueReport
from domain.ports.venue_outcomes import OutcomeUnknown
from ingest.batch_recorder import UNRESOLVED_ORDER
from tests.ingest.running_consumer import WAITING_REPORTS_MAX, fill, following, placed, report_of, soon
from tests.support.examples import new_order
from tests.support.fakes.clock import MIDNIGHT
from tests.support.memory_gateway import Desk


def unnamed(number: int, *, venue_order_id: str = "V9", raw: bytes = b"as it came") -> VenueReport:
    """Return a fill of an order without a client order id."""
    reports = [fill(number, quantity=1, cumulative=1)]
    return VenueReport(venue_client_order_id=None, venue_order_id=venue_order_id, reports=reports, at=MIDNIGHT, raw=raw)


async def test_a_report_that_cannot_be_resolved_holds_up_no_report_of_our_orders() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk) as at_work:
        await soon(lambda: desk.telemetry.counted(Metric.CATCH_UPS, cause="connect") > 0, "the first catch-up")
        desk.venue.is_reachable = False
        at_work.stream.live.put_nowait(unnamed(9))
        at_work.stream.live.put_nowait(report_of(order, fill(1, quantity=100, cumulative=100)))
        await soon(lambda: at_work.status(order) is OrderStatus.FILLED, "filled")
        await soon(lambda: "find V9" in desk.venue.asked, "the venue is asked")

    assert len(at_work.recorder.unresolved) == 1
    assert desk.telemetry.said("recording_failing") == []


async def test_a_report_of_a_linked_order_is_recorded_without_a_request() -> None:
    desk = Desk()
    order = await placed(desk)

    async with following(desk) as at_work:
        at_work.stream.live.put_nowait(unnamed(1, venue_order_id="V1"))
        await soon(lambda: at_work.status(order) is OrderStatus.PARTIALLY_FILLED, "partially filled")

    assert "find V1" not in desk.venue.asked


async def test_a_report_that_precedes_the_acknowledgement_is_recorded_once_the_venue_shows_the_order() -> None:
    desk = Desk()
    order = new_order()
    await desk.orders.store(order)
    desk.venue.will_answer(OutcomeUnknown(error="lost"), keeps=True)
    await desk.submission.submit([order.id])
    desk.venue.hidden.add(order.venue_client_order_id)

    async with following(desk) as at_work:
        at_work.stream.live.put_nowait(unnamed(1, venue_order_id="V1"))
        await soon(lambda: at_work.status(order) is OrderStatus.PARTIALLY_FILLED, "partially filled")
        await soon(lambda: not len(at_work.recorder.unresolved), "nothing is unresolved")


async def test_a_report_of_an_external_order_is_only_counted() -> None:
    desk = Desk()
    desk.venue.external = [ExternalOrder(venue_order_id="V9")]

    async with following(desk) as at_work:
        at_work.stream.live.put_nowait(unnamed(9))
        await soon(lambda: desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 1, "counted")
        await soon(lambda: not len(at_work.recorder.unresolved), "nothing is unresolved")

    assert at_work.letters.letters == []
    assert desk.publisher.changes == []


async def test_a_report_of_an_order_that_the_venue_never_shows_is_external_at_last() -> None:
    desk = Desk()

    async with following(desk, unresolved_seconds=0.02) as at_work:
        at_work.stream.live.put_nowait(unnamed(9))
        await soon(lambda: desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 1, "counted")

    assert at_work.letters.letters == []
    assert len(at_work.recorder.unresolved) == 0


async def test_a_report_that_stays_unresolved_is_stored_raw() -> None:
    desk = Desk()
    desk.venue.look_up_failures = {"V9": VenueUnreachableError("HTTP 500")}

    async with following(desk, unresolved_seconds=0.02) as at_work:
        at_work.stream.live.put_nowait(unnamed(9))
        await soon(lambda: bool(at_work.letters.letters), "it is kept")

    assert at_work.letters.letters == [(f"{UNRESOLVED_ORDER}: V9", b"as it came")]
    assert desk.venue.asked.count("find V9") == 1


async def test_no_more_reports_are_unresolved_than_the_bound() -> None:
    desk = Desk()
    desk.venue.look_up_failures = {f"V{number}": VenueUnreachableError("HTTP 500") for number in range(3)}

    async with following(desk) as at_work:
        for number in range(3):
            at_work.stream.live.put_nowait(unnamed(number, venue_order_id=f"V{number}", raw=b"%d" % number))
        await soon(lambda: bool(at_work.letters.letters), "one is kept")

    assert len(at_work.recorder.unresolved) == WAITING_REPORTS_MAX
    assert [raw for _, raw in at_work.letters.letters] == [b"2"]
