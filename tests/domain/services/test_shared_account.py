"""Reconciliation on an account with external orders: external and unreadable orders do not affect ours."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from domain.model.errors import (
    RequestHeldBackError,
    VenueBusyError,
    VenueUnauthorizedError,
    VenueUnreachableError,
)
from domain.model.order import End, OrderStatus
from domain.model.reports import Report
from domain.ports.telemetry import Metric
from domain.ports.venue import ExternalOrder, ListedFill, OrdersPage, UnreadableFill, UnreadableOrder, VenueReport
from domain.ports.venue_outcomes import OutcomeUnknown
from tests.support.examples import ORDER_ID, at, ended, filled, name_of, some_terms
from tests.support.fakes.venue import ScriptedVenue
from tests.support.memory_gateway import SECOND, Desk

AT_ONCE = timedelta(0)
OTHER_ID = UUID(int=0xDEF)
UNREADABLE = VenueUnreachableError("the venue's order cannot be read")


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with one order at the venue."""
    desk = Desk()
    await desk.store()
    await desk.attempt()
    desk.venue.asked.clear()
    return desk


async def with_orders(count: int, *, look_ups_max: int = 10) -> tuple[Desk, Sequence[UUID]]:
    """Return a desk with orders at the venue, all of which ended without a report."""
    desk = Desk(look_ups_max=look_ups_max)
    order_ids = [UUID(int=number) for number in range(100, 100 + count)]
    for number, order_id in enumerate(order_ids):
        await desk.store(order_id, client_order_id=f"order-{number}")
    await desk.submission.submit(order_ids)
    for order_id in order_ids:
        close_without_report(desk, order_id)
    desk.venue.asked.clear()
    return desk, order_ids


def close_without_report(desk: Desk, order_id: UUID) -> None:
    """End the order in the venue's book, without a report."""
    order = desk.venue.orders[name_of(order_id)]
    desk.venue.orders[name_of(order_id)] = replace(order, is_open=False, reports=[*order.reports, ended(End.EXPIRED)])


def fill(report: Report, *, venue_order_id: str = "V1", seconds: int = 1) -> VenueReport:
    return VenueReport(
        venue_client_order_id=None, venue_order_id=venue_order_id, reports=[report], at=at(seconds), raw=b"fill"
    )


def external_orders(count: int) -> list[ExternalOrder]:
    return [ExternalOrder(venue_order_id=f"X{number}") for number in range(count)]


# --- Fills ------------------------------------------------------------------------------------------------------


async def test_an_external_order_is_looked_up_once(desk: Desk) -> None:
    desk.venue.external = external_orders(1)
    desk.venue.fill_pages = [[fill(filled("1"), venue_order_id="X0")]]
    reconciliation = desk.reconciliation

    for _ in range(2):
        await reconciliation.fills.record_fills(since=at(0))

    assert desk.venue.asked == ["find X0"]
    assert desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 2


async def test_fills_of_our_orders_are_recorded_before_external_ones_are_looked_up(desk: Desk) -> None:
    desk.venue.external = external_orders(5)
    desk.venue.look_up_failures = {f"X{number}": UNREADABLE for number in range(3)}
    external = [fill(filled("1", name=f"X-{number}"), venue_order_id=f"X{number}") for number in range(5)]
    desk.venue.fill_pages = [external, [fill(filled("2", cumulative="2"))]]

    await desk.reconciliation.catch_up(cause="started")

    assert desk.order().facts.filled_quantity == 2
    assert desk.venue.asked == [f"find X{number}" for number in range(5)]
    assert len(desk.telemetry.said("order_look_up_failed")) == 3
    assert desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 2


async def test_an_order_that_cannot_be_looked_up_holds_the_position_for_a_bounded_time() -> None:
    desk = Desk()
    await desk.store()
    desk.venue.will_answer(OutcomeUnknown(error="lost"), keeps=True)
    await desk.attempt()
    desk.venue.hidden.add(name_of(ORDER_ID))
    desk.venue.look_up_failures = {"V1": UNREADABLE}
    executed_at = desk.clock()
    desk.venue.fill_pages = [[replace(fill(filled("1", cumulative="1")), at=executed_at)]]
    reconciliation = desk.reconciliation

    desk.clock.advance(60 * SECOND)
    await reconciliation.catch_up(cause="periodic")
    held = await desk.positions.read("SCRIPTED")
    letters_before = len(desk.dead_letters.letters)
    desk.clock.advance(130 * SECOND)
    await reconciliation.catch_up(cause="periodic")
    await reconciliation.catch_up(cause="periodic")

    assert held == executed_at - 10 * SECOND
    assert letters_before == 0
    assert desk.dead_letters.letters == [("a fill of an order that cannot be looked up at the venue", b"fill")]
    assert await desk.positions.read("SCRIPTED") == executed_at


async def test_one_catch_up_looks_up_no_more_orders_than_allowed_and_the_next_continues(desk: Desk) -> None:
    desk.look_ups_max = 3
    desk.venue.external = external_orders(5)
    desk.venue.fill_pages = [
        [fill(filled("1", name=f"X-{number}"), venue_order_id=f"X{number}", seconds=number) for number in range(5)]
    ]
    reconciliation = desk.reconciliation

    await reconciliation.fills.record_fills(since=at(0))
    first = list(desk.venue.asked)
    read = await reconciliation.fills.record_fills(since=at(0))

    assert first == ["find X0", "find X1", "find X2"]
    assert desk.venue.asked[3:] == ["find X3", "find X4"]
    assert read.pending_since is None


async def test_a_fill_that_cannot_be_recorded_is_a_dead_letter_and_blocks_no_other_from_being_caught_up(
    desk: Desk,
) -> None:
    await desk.store(OTHER_ID, client_order_id="intent-2")
    await desk.report(filled("1", name="E1"), order_id=OTHER_ID)
    desk.venue.fill_pages = [[fill(filled("1", name="E1")), fill(filled("2", name="E2", cumulative="2"))]]

    await desk.reconciliation.catch_up(cause="started")

    assert desk.order().facts.filled_quantity == 2
    assert [raw for _, raw in desk.dead_letters.letters] == [b"fill"]
    assert desk.dead_letters.sources == ["catch_up"]
    assert len(desk.telemetry.said("dead_letter")) == 1
    assert await desk.positions.read("SCRIPTED") is not None


@pytest.mark.parametrize(("venue_order_id", "letters"), [("V1", 1), (None, 1), ("X0", 0), ("an order that is gone", 0)])
async def test_a_fill_that_cannot_be_read_is_a_dead_letter_unless_it_is_external(
    desk: Desk, venue_order_id: str | None, letters: int
) -> None:
    desk.venue.external = external_orders(1)
    unreadable = UnreadableFill(venue_order_id=venue_order_id, raw=b"{}", error="qty is below zero")
    desk.venue.fill_pages = [[unreadable, fill(filled("2", cumulative="2"))]]

    await desk.reconciliation.catch_up(cause="started")

    assert desk.order().facts.filled_quantity == 2
    assert desk.dead_letters.letters == [("qty is below zero", b"{}")] * letters
    assert desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 1 - letters


async def test_an_unreadable_fill_that_every_read_repeats_is_one_dead_letter(desk: Desk) -> None:
    desk.venue.fill_pages = [[UnreadableFill(venue_order_id="V1", raw=b"odd", error="qty is missing")]]
    reconciliation = desk.reconciliation

    for _ in range(3):
        desk.clock.advance(60 * SECOND)
        await reconciliation.catch_up(cause="periodic")

    assert [raw for _, raw in desk.dead_letters.letters] == [b"odd"]
    assert len(desk.telemetry.said("dead_letter")) == 1


async def test_a_fill_of_an_order_of_ours_that_cannot_be_read_is_recorded() -> None:
    desk = Desk()
    await desk.store()
    desk.venue.unreadable = [
        UnreadableOrder(venue_client_order_id=name_of(ORDER_ID), venue_order_id="V7", error="status is missing")
    ]
    desk.venue.fill_pages = [[fill(filled("1", venue_order_id="V7"), venue_order_id="V7")]]

    await desk.reconciliation.catch_up(cause="started")

    assert desk.order().facts.filled_quantity == 1


async def test_an_unreadable_fill_whose_order_could_not_be_looked_up_is_stored_in_the_end(desk: Desk) -> None:
    desk.venue.look_up_failures = {"V9": VenueUnreachableError("HTTP 503")}
    desk.venue.fill_pages = [[UnreadableFill(venue_order_id="V9", raw=b"odd", error="qty is missing")]]
    reconciliation = desk.reconciliation
    await reconciliation.catch_up(cause="started")
    since = desk.venue.fills_since[0]
    for _ in range(3):
        desk.clock.advance(60 * SECOND)
        await reconciliation.catch_up(cause="periodic")

    assert all(later <= since for later in desk.venue.fills_since)
    assert [raw for _, raw in desk.dead_letters.letters] == [b"odd"]


@dataclass(slots=True)
class FewPagesOfFills(ScriptedVenue):
    """A venue whose rate limit leaves three pages of fills to each read."""

    async def fills(self, *, since: datetime) -> AsyncGenerator[Sequence[ListedFill]]:
        self.fills_since.append(since)
        newer = [page for page in self.fill_pages if isinstance(page[0], VenueReport) and page[0].at > since]
        for page in newer[:3]:
            yield page
        if len(newer) > 3:
            raise RequestHeldBackError("nothing is left", retry_after=60 * SECOND)


@pytest.mark.parametrize("every", [1, 20], ids=["within the overlap", "apart"])
async def test_a_long_list_of_external_fills_is_read_to_its_end_under_a_rate_limit(desk: Desk, every: int) -> None:
    desk.venue = FewPagesOfFills(desk.clock, orders=desk.venue.orders, external=external_orders(1))
    for number in range(10):
        external = fill(filled("1", name=f"X-{number}"), venue_order_id="X0")
        desk.venue.fill_pages.append([replace(external, at=desk.clock() + number * every * SECOND)])
    desk.clock.advance(300 * SECOND)
    desk.venue.fill_pages.append([replace(fill(filled("3", cumulative="3")), at=desk.clock())])
    reconciliation = desk.reconciliation

    for _ in range(3):
        desk.clock.advance(60 * SECOND)
        with pytest.raises(VenueBusyError):
            await reconciliation.catch_up(cause="periodic")
    await reconciliation.catch_up(cause="periodic")

    assert desk.order().facts.filled_quantity == 3
    assert desk.telemetry.counted(Metric.REPORTS_EXTERNAL) >= 10


# --- Open orders ------------------------------------------------------------------------------------------------


async def test_external_orders_on_the_first_pages_do_not_hide_ours_on_the_last() -> None:
    desk = Desk()
    await desk.store()
    desk.venue.will_answer(OutcomeUnknown(error="lost"), keeps=True)
    await desk.attempt()
    desk.venue.external = external_orders(1_200)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.PLACED
    assert desk.venue.pages_read == [None, "500", "1000"]
    assert desk.telemetry.counted(Metric.ORDERS_EXTERNAL) == 1_200


async def test_a_run_reads_no_more_pages_than_allowed_and_the_next_continues_there() -> None:
    desk, order_ids = await with_orders(2)
    resting, closed = order_ids
    order = desk.venue.orders[name_of(resting)]
    desk.venue.orders[name_of(resting)] = replace(order, is_open=True, reports=order.reports[:1])
    desk.pages_max = 2
    desk.venue.external = external_orders(1_600)
    desk.venue.external.insert(0, ExternalOrder(venue_order_id="first"))
    reconciliation = desk.reconciliation

    await reconciliation.compare_open_orders(silent_for=AT_ONCE)
    looked_up_before_the_end = list(desk.venue.asked)
    await reconciliation.compare_open_orders(silent_for=AT_ONCE)
    await reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert looked_up_before_the_end == []
    assert desk.venue.asked == ["find"]
    assert desk.order(closed).status is OrderStatus.EXPIRED
    assert desk.order(resting).status is OrderStatus.PLACED
    assert desk.venue.pages_read == [None, "500", "1000", "1500", None, "500"]


async def test_a_page_that_the_venue_does_not_answer_begins_the_list_again(desk: Desk) -> None:
    desk.pages_max = 1
    desk.venue.external = external_orders(600)
    reconciliation = desk.reconciliation
    await reconciliation.compare_open_orders(silent_for=AT_ONCE)
    desk.venue.is_reachable = False
    with pytest.raises(VenueUnreachableError):
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)
    desk.venue.is_reachable = True

    await reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.venue.pages_read == [None, "500", None]


@dataclass(slots=True)
class FewPages(ScriptedVenue):
    """A venue whose rate limit leaves three pages of the list to each run."""

    async def open_orders(self, *, page: str | None = None) -> OrdersPage:
        if len(self.pages_read) == 3:
            self.pages_read.clear()
            raise RequestHeldBackError("nothing is left", retry_after=60 * SECOND)
        return await ScriptedVenue.open_orders(self, page=page)


async def test_a_run_that_the_rate_limit_ends_is_continued_where_it_stopped(desk: Desk) -> None:
    desk.venue = FewPages(desk.clock, orders=desk.venue.orders, page_rows=2, external=external_orders(10))
    close_without_report(desk, ORDER_ID)
    reconciliation = desk.reconciliation
    with pytest.raises(VenueBusyError):
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)

    await reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.EXPIRED


async def test_an_order_of_ours_that_is_listed_and_unreadable_is_not_looked_up(desk: Desk) -> None:
    del desk.venue.orders[name_of(ORDER_ID)]
    desk.venue.unreadable = [
        UnreadableOrder(venue_client_order_id=name_of(ORDER_ID), venue_order_id="V1", error="status is missing")
    ]

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.venue.asked == []


async def test_an_order_of_another_kind_under_our_id_is_not_adopted() -> None:
    desk = Desk()
    await desk.store()
    desk.venue.keep(name_of(ORDER_ID), some_terms())
    desk.venue.orders[name_of(ORDER_ID)] = replace(desk.venue.orders[name_of(ORDER_ID)], terms=None)

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.PENDING
    assert desk.telemetry.said("venue_order_mismatch")


async def test_a_look_up_that_fails_does_not_stop_the_look_ups_after_it() -> None:
    desk, order_ids = await with_orders(4)
    desk.venue.look_up_failures = {
        name_of(order_ids[0]): VenueUnreachableError("HTTP 500"),
        name_of(order_ids[2]): UNREADABLE,
    }

    await desk.reconciliation.catch_up(cause="periodic")

    ended_here = [order_id for order_id in order_ids if desk.order(order_id).status is OrderStatus.EXPIRED]
    assert ended_here == [order_ids[1], order_ids[3]]
    assert len(desk.telemetry.said("order_look_up_failed")) == 2
    assert await desk.positions.read("SCRIPTED") is not None


@pytest.mark.parametrize(
    "error", [VenueBusyError("HTTP 429", retry_after=SECOND), VenueUnauthorizedError("HTTP 401")], ids=["busy", "key"]
)
async def test_an_error_that_concerns_every_request_ends_the_look_ups_and_keeps_the_results(
    error: VenueUnreachableError,
) -> None:
    desk, order_ids = await with_orders(3)
    desk.venue.look_up_failures = {name_of(order_ids[1]): error}

    with pytest.raises(type(error)):
        await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert [desk.order(order_id).status for order_id in order_ids] == [
        OrderStatus.EXPIRED,
        OrderStatus.PLACED,
        OrderStatus.PLACED,
    ]


async def test_orders_that_cannot_be_resolved_do_not_use_up_the_look_ups_of_every_run() -> None:
    desk, order_ids = await with_orders(9, look_ups_max=3)
    desk.venue.look_up_failures = dict.fromkeys(map(name_of, order_ids[:6]), UNREADABLE)
    desk.venue.hidden.update(map(name_of, order_ids[6:8]))
    reconciliation = desk.reconciliation

    for _ in range(3):
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order(order_ids[8]).status is OrderStatus.EXPIRED
    assert desk.venue.asked == ["find"] * 9


async def test_an_order_that_cannot_be_resolved_is_looked_up_at_pauses_that_double() -> None:
    desk, order_ids = await with_orders(1)
    desk.venue.look_up_failures = {name_of(order_ids[0]): UNREADABLE}
    reconciliation = desk.reconciliation
    begun_at, looked_up_at = desk.clock(), []

    for _ in range(200):
        asked = len(desk.venue.asked)
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)
        if len(desk.venue.asked) > asked:
            looked_up_at.append((desk.clock() - begun_at) // SECOND)
        desk.clock.advance(SECOND)

    assert looked_up_at == [0, 10, 30, 70, 130, 190]


async def test_the_fills_of_an_order_that_stays_behind_are_read_at_doubling_intervals(desk: Desk) -> None:
    order = desk.venue.orders[name_of(ORDER_ID)]
    desk.venue.orders[name_of(ORDER_ID)] = replace(order, filled_quantity=order.filled_quantity + 3)
    reconciliation = desk.reconciliation

    for _ in range(5):
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.venue.asked.count("fills of V1") == 1


async def test_the_fills_of_one_order_are_read_without_a_pause_while_each_read_finds_its_fill(desk: Desk) -> None:
    reconciliation = desk.reconciliation
    for number in range(5):
        desk.clock.advance(15 * SECOND)
        desk.venue.fill(name_of(ORDER_ID), quantity=Decimal(1), price=Decimal(1))
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)
        assert desk.order().facts.filled_quantity == number + 1
