"""Whose order it is that replaced another: ours if that one was ours, found by as few requests as can be."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.model.order import End, OrderStatus
from domain.model.reports import OrderReplaced, Report
from domain.model.restatement import Restatement
from domain.ports.venue import ExternalOrder, VenueOrder, VenueReport
from domain.ports.venue_outcomes import CancelNotPossible, CancelTaken
from domain.services.chain_look_up import LOOK_UPS_MAX, look_up
from domain.services.order_owners import LINE_MAX
from tests.support.examples import ORDER_ID, VENUE_SAYS, accepted, at, ended, filled, name_of
from tests.support.memory_gateway import SECOND, Desk

AT_ONCE = timedelta(0)


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with one order at the venue, V1."""
    desk = Desk()
    await desk.store()
    await desk.attempt()
    desk.venue.asked.clear()
    return desk


def link(name: str, replaces: str) -> OrderReplaced:
    terms = Restatement(at=at(3), quantity=Decimal(10), symbol="AAPL", limit_price=None)
    return OrderReplaced(
        venue_order_id=name, replaces=replaces, at=at(3), venue_client_order_id=f"ui-{name}", restatement=terms
    )


def message_of(name: str, replaces: str, *reports: Report) -> VenueReport:
    """Return a message about an order that was not placed here and replaced another one."""
    return VenueReport(
        venue_client_order_id=None,
        venue_order_id=name,
        reports=(link(name, replaces), *reports),
        at=at(3),
    )


def listed_fill(name: str, *, execution: str = "E9", quantity: str = "4") -> VenueReport:
    """Return a row of the list of fills, which names its order only by the venue's id."""
    fill = filled(quantity, name=execution, cumulative=quantity, venue_order_id=name)
    return VenueReport(venue_client_order_id=None, venue_order_id=name, reports=(fill,), at=at(4))


def shown(name: str, replaces: str, *, replaced_by: str | None = None, filled_quantity: str = "0") -> ExternalOrder:
    """Return the venue's order as a look-up does."""
    reports: Sequence[Report] = (link(name, replaces), accepted(venue_order_id=name))
    if replaced_by is not None:
        follows = OrderReplaced(venue_order_id=replaced_by, replaces=name, at=at(3))
        reports = (*reports, follows, ended(End.REPLACED, venue_order_id=name))
    order = VenueOrder(
        venue_client_order_id=f"ui-{name}",
        venue_order_id=name,
        terms=None,
        filled_quantity=Decimal(filled_quantity),
        is_open=replaced_by is None,
        reports=reports,
        submitted_at=at(3),
        replaces=replaces,
        replaced_by=replaced_by,
    )
    return ExternalOrder(venue_order_id=name, replacement=order)


def replace_ours(desk: Desk, *, by: str) -> None:
    """Replace our order at the venue, without a report."""
    ours = desk.venue.orders[name_of(ORDER_ID)]
    follows = OrderReplaced(venue_order_id=by, replaces="V1", at=at(3))
    reports = [*ours.reports, follows, ended(End.REPLACED, venue_order_id="V1")]
    desk.venue.orders[name_of(ORDER_ID)] = replace(ours, is_open=False, replaced_by=by, reports=reports)


async def test_what_replaced_our_order_is_ours_without_a_request(desk: Desk) -> None:
    recorded = await desk.reconciliation.fills.record_reports(
        [message_of("V2", "V1", filled("4", venue_order_id="V2")), message_of("V3", "V2"), listed_fill("V3")]
    )

    assert not recorded.unresolved
    assert desk.venue.asked == []
    assert desk.order().facts.filled_quantity == 8
    assert desk.order().whole.venue_order_id == "V3"


async def test_what_replaced_an_external_order_is_external_without_a_request(desk: Desk) -> None:
    fills = desk.reconciliation.fills
    fills.owners.note_external(["X1"])

    recorded = await fills.record_reports([message_of("X2", "X1"), message_of("X3", "X2"), listed_fill("X3")])

    assert not recorded.unresolved
    assert not recorded.changes
    assert desk.venue.asked == []


async def test_an_external_order_that_is_replaced_all_day_stays_external_without_a_request(desk: Desk) -> None:
    fills = desk.reconciliation.fills
    fills.owners.note_external(["X1"])

    for number in range(2, 5 * LINE_MAX):
        recorded = await fills.record_reports([message_of(f"X{number}", f"X{number - 1}")])
        assert not recorded.unresolved

    assert desk.venue.asked == []


async def test_a_long_chain_that_grew_unheard_is_followed_to_our_order_by_one_request_for_each_order(
    desk: Desk,
) -> None:
    newest = 3 * LINE_MAX
    replace_ours(desk, by="V2")
    desk.venue.external = [
        shown(f"V{number}", f"V{number - 1}", replaced_by=f"V{number + 1}") for number in range(2, newest + 1)
    ]
    fills = desk.reconciliation.fills
    recorded = await fills.record_reports([listed_fill(f"V{newest}")])

    for _ in range(3):
        await fills.owners_of(recorded.unresolved)
        desk.clock.advance(300 * SECOND)
    owners = await fills.owners_of(recorded.unresolved)

    assert owners.ours == {f"V{newest}": name_of(ORDER_ID)}
    assert len(set(desk.venue.asked)) == len(desk.venue.asked) < newest


async def test_what_replaced_an_unknown_order_waits_until_a_look_up_tells(desk: Desk) -> None:
    desk.venue.external = [shown("V2", "V1", replaced_by="V3"), ExternalOrder(venue_order_id="X1")]
    fills = desk.reconciliation.fills
    reports = [message_of("V3", "V2", filled("4", venue_order_id="V3")), message_of("X2", "X1")]

    recorded = await fills.record_reports(reports)
    owners = await fills.owners_of(recorded.unresolved)
    await fills.record_reports(reports)

    assert list(recorded.unresolved) == reports
    assert (owners.ours, owners.external) == ({"V3": name_of(ORDER_ID)}, {"X2"})
    assert desk.venue.asked == ["find V2", "find X1"]
    assert desk.order().facts.filled_quantity == 4


async def test_a_chain_that_grew_without_a_report_is_followed_by_one_comparison(desk: Desk) -> None:
    replace_ours(desk, by="V2")
    desk.venue.external = [shown("V2", "V1", replaced_by="V3"), shown("V3", "V2", filled_quantity="4")]
    desk.venue.fill_pages = [[listed_fill("V3")]]

    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert desk.order().status is OrderStatus.PARTIALLY_FILLED
    assert desk.order().facts.filled_quantity == 4


async def test_without_its_replacement_the_order_has_ended_and_a_report_revives_it(desk: Desk) -> None:
    ours = desk.venue.orders[name_of(ORDER_ID)]
    over = replace(ours, is_open=False, reports=[*ours.reports, ended(End.REPLACED, venue_order_id="V1")])
    desk.venue.orders[name_of(ORDER_ID)] = over
    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)
    before = desk.order().status

    await desk.reconciliation.fills.record_reports([message_of("V2", "V1")])

    assert (before, desk.order().status) == (OrderStatus.CANCELED, OrderStatus.PLACED)


async def test_a_look_up_of_an_endless_chain_ends(desk: Desk) -> None:
    replace_ours(desk, by="V2")
    desk.venue.external = [
        shown(f"V{number}", f"V{number - 1}", replaced_by=f"V{number + 1}") for number in range(2, 40)
    ]
    row = desk.orders.rows[ORDER_ID].order

    found = await look_up(desk.venue, row)

    assert len(found) == LOOK_UPS_MAX


async def test_a_fill_of_the_newest_order_of_a_long_chain_is_repaired(desk: Desk) -> None:
    newest = LOOK_UPS_MAX + 3
    replace_ours(desk, by="V2")
    desk.venue.external = [
        shown(f"V{number}", f"V{number - 1}", replaced_by=f"V{number + 1}") for number in range(2, newest)
    ]
    desk.venue.external.append(shown(f"V{newest}", f"V{newest - 1}", filled_quantity="4"))
    reconciliation = desk.reconciliation
    for _ in range(3):
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)
        desk.clock.advance(60 * SECOND)
    assert desk.order().whole.venue_order_id == f"V{newest}"
    desk.venue.listed_by_order = [listed_fill(f"V{newest}")]

    for _ in range(3):
        await reconciliation.compare_open_orders(silent_for=AT_ONCE)
        desk.clock.advance(60 * SECOND)

    assert desk.order().facts.filled_quantity == 4


async def test_a_cancel_that_was_sent_before_the_replacement_is_sent_again_to_what_replaced_it(desk: Desk) -> None:
    await desk.cancellation.request(ORDER_ID, account_ids=("alice",))
    await desk.delivery.deliver([ORDER_ID])
    replace_ours(desk, by="V2")
    desk.venue.external = [shown("V2", "V1")]
    desk.venue.cancel_answers.append(CancelTaken())

    for _ in range(2):
        desk.clock.advance(60 * SECOND)
        await desk.delivery.deliver([ORDER_ID])

    assert desk.order().status is OrderStatus.PENDING_CANCEL
    assert [one for one in desk.venue.asked if one.startswith("cancel")] == ["cancel V1", "cancel V2"]


async def test_a_cancel_that_is_refused_since_the_order_was_replaced_is_sent_to_its_replacement(desk: Desk) -> None:
    replace_ours(desk, by="V2")
    desk.venue.external = [shown("V2", "V1")]
    desk.venue.cancel_answers.extend([CancelNotPossible(reason=VENUE_SAYS), CancelTaken()])
    await desk.cancellation.request(ORDER_ID, account_ids=("alice",))

    for _ in range(2):
        await desk.delivery.deliver([ORDER_ID])
        desk.clock.advance(60 * SECOND)

    assert desk.order().status is OrderStatus.PENDING_CANCEL
    assert [one for one in desk.venue.asked if one.startswith("cancel")] == ["cancel V1", "cancel V2"]


async def test_a_fill_that_the_newest_venue_order_lacks_is_read_by_its_own_id(desk: Desk) -> None:
    reconciliation = desk.reconciliation
    replace_ours(desk, by="V2")
    desk.venue.external = [shown("V2", "V1", filled_quantity="6")]
    desk.venue.listed_by_order = [listed_fill("V2", quantity="6")]

    await reconciliation.compare_open_orders(silent_for=AT_ONCE)
    await reconciliation.repair.run()

    assert "fills of V2" in desk.venue.asked
    assert desk.order().facts.filled_quantity == 6
