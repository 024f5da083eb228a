"""Catching up: missed reports are found at the venue, from the right start time, within limits."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from domain.model.errors import UnavailableError, VenueUnreachableError
from domain.model.order import End, OrderStatus, VenueCount
from domain.model.reports import Report
from domain.model.values import Terms
from domain.ports.telemetry import Metric
from domain.ports.venue import ExternalOrder, ListedFill, VenueReport
from domain.ports.venue_outcomes import OutcomeUnknown
from domain.services.reconciliation import OPEN_ORDERS_LOOKED_AT_MAX
from tests.support.examples import ORDER_ID, accepted, an_order, at, ended, filled, name_of, some_terms
from tests.support.fakes.venue import ScriptedVenue
from tests.support.memory_gateway import SECOND, Desk

AT_ONCE = timedelta(0)
OTHER_ID = UUID(int=0xDEF)


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with one order at the venue."""
    desk = Desk()
    await desk.store()
    await desk.attempt()
    desk.venue.asked.clear()
    return desk


def heard(*reports: Report, venue_order_id: str = "V1", order_id: UUID | None = None) -> VenueReport:
    name = None if order_id is None else name_of(order_id)
    return VenueReport(venue_client_order_id=name, venue_order_id=venue_order_id, reports=reports, at=at(1))


def close_without_report(desk: Desk, order_id: UUID, end: End) -> None:
    """End the order in the venue's book, without a report."""
    order = desk.venue.orders[name_of(order_id)]
    desk.venue.orders[name_of(order_id)] = replace(order, is_open=False, reports=[*order.reports, ended(end)])


async def test_a_catch_up_records_the_fills_and_the_ends_that_the_stream_missed(desk: Desk) -> None:
    desk.venue.fill_pages = [[heard(filled("1", cumulative="1"))], [heard(filled("2", name="E2", cumulative="3"))]]
    close_without_report(desk, ORDER_ID, End.EXPIRED)

    await desk.reconciliation.catch_up(cause="connected")

    assert desk.order().status is OrderStatus.EXPIRED
    assert desk.order().facts.filled_quantity == 3
    assert desk.kinds() == ["PLACED", "FILL", "FILL", "EXPIRED"]
    assert desk.telemetry.counted(Metric.CATCH_UPS, cause="connected") == 1


async def test_a_catch_up_of_what_is_known_changes_nothing(desk: Desk) -> None:
    desk.venue.fill_pages = [[heard(filled("1", cumulative="1"))]]
    await desk.reconciliation.catch_up(cause="connected")
    desk.publisher.commits.clear()

    await desk.reconciliation.catch_up(cause="connected")

    assert not desk.publisher.commits


async def test_a_fill_that_is_stored_is_left_out_and_the_rest_of_its_answer_is_recorded(desk: Desk) -> None:
    first = filled("1", cumulative="1", venue_order_id="V1")
    second = filled("2", name="E2", cumulative="3", venue_order_id="V1")
    desk.venue.fill_pages = [[heard(first)]]
    await desk.reconciliation.fills.record_fills(since=at(0))
    reads = desk.orders.loads

    await desk.reconciliation.fills.record_fills(since=at(0))
    reads_of_the_known = desk.orders.loads - reads
    desk.venue.fill_pages = [[heard(first), heard(first, second)]]
    await desk.reconciliation.fills.record_fills(since=at(0))

    assert desk.order().facts.filled_quantity == 3
    assert desk.kinds() == ["PLACED", "FILL", "FILL"]
    assert reads_of_the_known == 0


async def test_the_first_catch_up_starts_at_the_configured_time_and_the_next_overlaps_with_the_newest_fill(
    desk: Desk,
) -> None:
    start = desk.clock()
    await desk.reconciliation.catch_up(cause="started")
    desk.clock.advance(7200 * SECOND)
    desk.venue.fill_pages = [[heard(filled("1"))]]

    await desk.reconciliation.catch_up(cause="reconnected")

    assert desk.venue.fills_since == [start - 3600 * SECOND] * 2
    assert await desk.positions.read("SCRIPTED") == at(1) - 10 * SECOND


async def test_fills_within_the_overlap_are_read_again_only_until_it_has_passed(desk: Desk) -> None:
    desk.venue.fill_pages = [[heard(filled("1"))]]
    desk.clock.advance(60 * SECOND)
    reconciliation = desk.reconciliation

    positions = []
    for _ in range(3):
        await reconciliation.catch_up(cause="periodic")
        positions.append(await desk.positions.read("SCRIPTED"))
        desk.clock.advance(5 * SECOND)

    assert positions == [at(1) - 10 * SECOND, at(1) - 10 * SECOND, at(1)]


@pytest.mark.parametrize("is_ours", [True, False])
async def test_a_fill_that_is_dated_at_the_beginning_of_time_stops_no_catch_up(desk: Desk, is_ours: bool) -> None:
    await desk.reconciliation.catch_up(cause="connect")
    before = await desk.positions.read("SCRIPTED")
    oldest = replace(heard(filled("1")), at=datetime.min.replace(tzinfo=UTC))
    desk.venue.fill_pages = [[oldest if is_ours else replace(oldest, venue_order_id="X1", venue_client_order_id=None)]]
    desk.venue.look_up_failures["X1"] = VenueUnreachableError("HTTP 500")

    await desk.reconciliation.catch_up(cause="periodic")

    assert await desk.positions.read("SCRIPTED") == before


async def test_many_final_orders_that_do_not_add_up_hide_no_open_order() -> None:
    desk = Desk()
    for number in range(2 * OPEN_ORDERS_LOOKED_AT_MAX):
        order_id = UUID(int=1_000 + number)
        await desk.store(order_id, client_order_id=f"order-{number}")
        canceled = ended(End.CANCELED, venue_order_id=f"X{number}", count=VenueCount(at=at(1), quantity=Decimal(3)))
        await desk.report(canceled, order_id=order_id)
    desk.clock.advance(SECOND)
    assert not await desk.reconciliation.has_open_orders()
    await desk.store()
    await desk.attempt()
    desk.clock.advance(SECOND)

    assert await desk.reconciliation.has_open_orders()


@dataclass(slots=True)
class TimedVenue(ScriptedVenue):
    """A venue that returns only the fills after the requested time."""

    async def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:
        for page in self.fill_pages:
            yield [fill for fill in page if isinstance(fill, VenueReport) and fill.at > since]


async def test_a_missed_fill_of_an_order_that_ended_is_found_at_a_venue_whose_clock_is_behind() -> None:
    desk = Desk()
    desk.venue = TimedVenue(lambda: desk.clock() - 300 * SECOND)
    reconciliation = desk.reconciliation
    await reconciliation.catch_up(cause="connect")
    await desk.store()
    await desk.attempt()
    await desk.cancellation.request(ORDER_ID, account_ids=None)
    await desk.delivery.deliver([ORDER_ID])
    desk.venue.fill(name_of(ORDER_ID), quantity=Decimal(3), price=Decimal(1))
    close_without_report(desk, ORDER_ID, End.CANCELED)
    desk.clock.advance(11 * SECOND)
    await desk.delivery.deliver([ORDER_ID])
    assert desk.order().status is OrderStatus.CANCELED

    await reconciliation.catch_up(cause="periodic")

    assert desk.order().facts.filled_quantity == 3


async def test_a_list_that_broke_off_is_read_again_with_the_overlap_although_our_clock_is_ahead(desk: Desk) -> None:
    venue_now = desk.clock()
    desk.clock.advance(300 * SECOND)
    newest = replace(heard(filled("1")), at=venue_now - SECOND)

    @dataclass(slots=True)
    class BreaksOff(ScriptedVenue):
        async def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:  # noqa: ARG002 - the port
            yield [newest]
            raise VenueUnreachableError("429")

    reconciliation = replace(desk.reconciliation_with(BreaksOff(desk.clock)), clock=lambda: venue_now)
    with pytest.raises(VenueUnreachableError):
        await reconciliation.catch_up(cause="connect")

    position = await desk.positions.read("SCRIPTED")
    assert position is not None
    assert venue_now - 11 * SECOND < position <= venue_now - 10 * SECOND


async def test_the_position_is_that_of_the_start_of_the_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, began = asyncio.get_running_loop(), desk.clock()
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + (desk.clock() - began).total_seconds())

    @dataclass(slots=True)
    class Slow(ScriptedVenue):
        async def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:  # noqa: ARG002 - the port
            desk.clock.advance(20 * SECOND)
            yield [replace(heard(filled("1")), at=began + 15 * SECOND)]

    await desk.reconciliation_with(Slow(desk.clock)).catch_up(cause="connect")

    position = await desk.positions.read("SCRIPTED")
    assert position is not None
    assert began - 11 * SECOND < position <= began - 10 * SECOND


async def test_a_position_in_the_venues_future_hides_no_fill_and_no_end(desk: Desk) -> None:
    await desk.positions.advance("SCRIPTED", desk.clock() + 3600 * SECOND)

    reconciliation = desk.reconciliation
    await reconciliation.catch_up(cause="connect")
    await reconciliation.compare_closed_orders()

    assert desk.venue.fills_since == [desk.clock()]
    assert desk.venue.closed_since == [desk.clock() - reconciliation.policy.closed_look_back]


@pytest.mark.parametrize("error", [VenueUnreachableError, UnavailableError])
async def test_a_catch_up_that_failed_is_repeated_from_the_same_time(desk: Desk, error: type[Exception]) -> None:
    await desk.reconciliation.catch_up(cause="started")
    position = await desk.positions.read("SCRIPTED")
    desk.clock.advance(60 * SECOND)
    desk.venue.fill_pages = [[heard(filled("1"))]]
    desk.venue.is_reachable = error is not VenueUnreachableError
    desk.orders.failure = UnavailableError() if error is UnavailableError else None

    with pytest.raises(error):
        await desk.reconciliation.catch_up(cause="reconnected")

    assert await desk.positions.read("SCRIPTED") == position


# --- Reports ----------------------------------------------------------------------------------------------------


async def test_reports_by_our_id_and_by_the_venues_are_of_one_order(desk: Desk) -> None:
    await desk.reconciliation.fills.record_reports(
        [heard(filled("1")), heard(filled("2", name="E2"), order_id=ORDER_ID)]
    )

    assert desk.order().facts.filled_quantity == 3
    assert desk.venue.asked == []


async def test_a_fill_before_the_acknowledgement_is_traced_through_the_venue() -> None:
    desk = Desk()
    await desk.store()
    desk.venue.will_answer(OutcomeUnknown(error="lost"), keeps=True)
    await desk.attempt()

    desk.venue.fill_pages = [[heard(filled("1", venue_order_id="V1"))]]

    await desk.reconciliation.fills.record_fills(since=at(0))

    assert desk.order().status is OrderStatus.PARTIALLY_FILLED


async def test_fills_of_unknown_orders_are_logged_and_harmless(desk: Desk) -> None:
    desk.venue.keep(name_of(UUID(int=1)), some_terms())
    unknown = [
        heard(filled("1"), venue_order_id="never heard of"),
        heard(filled("1", name="E2"), venue_order_id="V2"),
        heard(accepted(), order_id=UUID(int=2)),
    ]
    desk.venue.fill_pages = [[*unknown, heard(filled("1", name="E3"))]]

    await desk.reconciliation.fills.record_fills(since=at(0))

    assert desk.order().facts.filled_quantity == 1
    assert desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 1
    unknown_names = {line["venue_client_order_id"] for line in desk.telemetry.said("venue_order_unknown")}
    assert unknown_names == {name_of(UUID(int=1)), name_of(UUID(int=2))}


async def test_a_report_whose_order_must_be_looked_up_is_returned_without_a_request(desk: Desk) -> None:
    unresolved = heard(filled("1"), venue_order_id="V9")

    recorded = await desk.reconciliation.fills.record_reports([unresolved, heard(filled("1"), order_id=ORDER_ID)])

    assert recorded.unresolved == [unresolved]
    assert desk.order().facts.filled_quantity == 1
    assert desk.venue.asked == []


async def test_reports_of_external_orders_are_counted_once_for_any_number_of_tries(desk: Desk) -> None:
    external = heard(accepted(), venue_order_id="V9")
    desk.venue.external = [ExternalOrder(venue_order_id="V9")]
    reconciliation = desk.reconciliation
    await reconciliation.fills.owners_of([external])
    batch = [external, heard(filled("1"), order_id=ORDER_ID)]
    desk.orders.failure = UnavailableError()
    with pytest.raises(UnavailableError):
        await reconciliation.fills.record_reports(batch)
    desk.orders.failure = None

    await reconciliation.fills.record_reports(batch)

    assert desk.order().facts.filled_quantity == 1
    assert desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 1


async def test_a_missed_fill_is_reported_to_the_reader_of_the_stream(desk: Desk) -> None:
    behind = await desk.reconciliation.fills.record_reports([heard(filled("1", cumulative="5"))])
    complete = await desk.reconciliation.fills.record_reports([heard(filled("4", name="E0", cumulative="4"))])

    assert behind.missed_fill
    assert not complete.missed_fill


# --- Comparing open orders --------------------------------------------------------------------------------------


async def test_an_order_that_closed_without_a_report_is_looked_up_and_ended(desk: Desk) -> None:
    close_without_report(desk, ORDER_ID, End.CANCELED)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.CANCELED
    assert desk.venue.asked == ["find"]


async def test_an_order_that_is_open_on_both_sides_is_not_looked_up(desk: Desk) -> None:
    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.venue.asked == []


async def test_an_order_that_was_just_reported_is_not_looked_up(desk: Desk) -> None:
    close_without_report(desk, ORDER_ID, End.CANCELED)

    await desk.reconciliation.compare_open_orders(silent_for=SECOND)

    assert desk.venue.asked == []


async def test_an_order_in_doubt_that_is_in_the_venues_list_is_placed() -> None:
    desk = Desk()
    await desk.store()
    desk.venue.will_answer(OutcomeUnknown(error="lost"), keeps=True)
    await desk.attempt()

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.PLACED


async def test_an_order_that_the_venue_does_not_find_stays_as_it_is(desk: Desk) -> None:
    desk.venue.orders.clear()

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.PLACED


async def test_long_open_orders_do_not_hide_one_that_closed_without_a_report() -> None:
    desk = Desk(look_ups_max=3)
    resting = [UUID(int=number) for number in range(100, 110)]
    for number, order_id in enumerate(resting):
        await desk.store(order_id, client_order_id=f"resting-{number}")
    await desk.submission.submit(resting)
    desk.clock.advance(60 * SECOND)
    await desk.store()
    await desk.attempt()
    close_without_report(desk, ORDER_ID, End.EXPIRED)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.EXPIRED


async def test_one_run_makes_no_more_look_ups_than_allowed() -> None:
    desk = Desk(look_ups_max=3)
    many = [UUID(int=number) for number in range(100, 109)]
    for number, order_id in enumerate(many):
        await desk.store(order_id, client_order_id=f"order-{number}")
    await desk.submission.submit(many)
    desk.venue.asked.clear()
    for order_id in many:
        close_without_report(desk, order_id, End.EXPIRED)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.venue.asked == ["find"] * 3


async def test_a_last_fill_that_the_stream_missed_is_found_by_comparing_the_quantities(desk: Desk) -> None:
    desk.venue.orders[name_of(ORDER_ID)] = replace(desk.venue.orders[name_of(ORDER_ID)], filled_quantity=Decimal(3))
    desk.venue.fill_pages = [[heard(filled("3", cumulative="3"))]]

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().facts.filled_quantity == 3


async def test_a_different_order_under_our_id_is_an_alarm_and_never_adopted() -> None:
    desk = Desk()
    await desk.store()
    desk.venue.keep(name_of(ORDER_ID), some_terms(quantity="11"))

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.PENDING
    assert desk.telemetry.said("venue_order_mismatch")


@pytest.mark.parametrize(
    "terms",
    [some_terms(quantity="20"), replace(some_terms(), symbol="META"), None],
    ids=["split", "renamed", "unreadable"],
)
async def test_an_order_that_is_linked_is_followed_when_the_venue_changes_its_terms(
    desk: Desk, terms: Terms | None
) -> None:
    name = name_of(ORDER_ID)
    desk.venue.orders[name] = replace(desk.venue.orders[name], terms=terms)
    close_without_report(desk, ORDER_ID, End.EXPIRED)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.EXPIRED


async def test_an_unknown_order_of_ours_is_logged_once_for_any_source(desk: Desk) -> None:
    desk.venue.keep(name_of(OTHER_ID), some_terms())
    reconciliation = desk.reconciliation

    for _ in range(2):
        await reconciliation.fills.record_reports([heard(filled("1"), venue_order_id="V2", order_id=OTHER_ID)])
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)
        desk.venue.fill_pages = [[heard(filled("1", name="E2"), venue_order_id="V2")]]
        await reconciliation.fills.record_fills(since=at(0))

    (line,) = desk.telemetry.said("venue_order_unknown")
    assert line["venue_client_order_id"] == name_of(OTHER_ID)
    assert desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 0


async def test_the_fills_of_an_adopted_order_are_read_though_they_are_older_than_its_second_storing(desk: Desk) -> None:
    submitted_at = desk.clock()
    desk.venue.keep(name_of(OTHER_ID), some_terms())
    desk.clock.advance(3600 * SECOND)
    order = replace(an_order(order_id=OTHER_ID, client_order_id="intent-2"), created_at=desk.clock())
    await desk.orders.store(order)
    desk.venue.orders[name_of(OTHER_ID)] = replace(
        desk.venue.orders[name_of(OTHER_ID)], filled_quantity=Decimal(3), submitted_at=submitted_at
    )
    desk.venue.fill_pages = [[heard(filled("3", cumulative="3"), venue_order_id="V2")]]

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert "fills of V2" in desk.venue.asked
    assert not desk.venue.fills_since
    assert desk.order(OTHER_ID).facts.filled_quantity == 3
