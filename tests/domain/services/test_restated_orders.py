"""Terms that the venue has changed are also found by comparing, when the stream did not report them."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.model.order import OrderStatus
from domain.model.values import Terms
from domain.ports.venue_outcomes import OutcomeUnknown
from tests.support.examples import ORDER_ID, at, filled, name_of, restated, some_terms
from tests.support.memory_gateway import SECOND, Desk

AT_ONCE = timedelta(0)


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with one order at the venue."""
    desk = Desk()
    await desk.store()
    await desk.attempt()
    return desk


def change_at_venue(desk: Desk, terms: Terms | None, *, second: int = 5, is_open: bool = True) -> None:
    """Change the order's terms in the venue's book."""
    order = desk.venue.orders[name_of(ORDER_ID)]
    desk.venue.orders[name_of(ORDER_ID)] = replace(order, terms=terms, updated_at=at(second), is_open=is_open)


async def compare(desk: Desk) -> None:
    await desk.reconciliation.compare_open_orders(silent_for=AT_ONCE)


async def test_a_split_that_the_stream_missed_of_is_found_and_told_once(desk: Desk) -> None:
    change_at_venue(desk, replace(some_terms(quantity="40"), symbol="META"))

    for _ in range(3):
        await compare(desk)

    assert desk.kinds() == ["PLACED", "RESTATED"]
    assert (desk.order().quantity, desk.order().current_terms.symbol) == (Decimal(40), "META")
    assert desk.order().terms == some_terms()
    assert not desk.telemetry.said("venue_order_mismatch")


async def test_an_order_that_looks_filled_is_live_again_when_the_venue_shows_more(desk: Desk) -> None:
    await desk.report(filled("10"))
    assert desk.order().status is OrderStatus.FILLED
    change_at_venue(desk, some_terms(quantity="40"))

    await compare(desk)

    assert desk.order().status is OrderStatus.PARTIALLY_FILLED


async def test_an_order_whose_quantity_was_reduced_to_what_is_filled_is_filled(desk: Desk) -> None:
    await desk.report(filled("4"))
    change_at_venue(desk, some_terms(quantity="4"), is_open=False)

    await compare(desk)

    assert desk.order().status is OrderStatus.FILLED


async def test_a_restatement_of_the_stream_that_is_newer_than_the_look_up_holds(desk: Desk) -> None:
    await desk.report(restated("20", second=6))
    change_at_venue(desk, some_terms(quantity="40"), second=5)

    await compare(desk)

    assert desk.order().quantity == 20


@pytest.mark.parametrize(
    "terms", [None, replace(some_terms(), limit_price=None)], ids=["unreadable", "without a price"]
)
async def test_terms_that_the_venue_does_not_state_are_no_restatement(desk: Desk, terms: Terms | None) -> None:
    change_at_venue(desk, terms)

    await compare(desk)

    assert desk.kinds() == ["PLACED"]


async def test_an_order_whose_restatement_was_reported_before_it_was_adopted_is_no_mismatch() -> None:
    desk = Desk()
    await desk.store()
    desk.venue.will_answer(OutcomeUnknown(error="lost"), keeps=True)
    await desk.attempt()
    change_at_venue(desk, some_terms(quantity="40"))
    await desk.report(restated("40"))

    await desk.attempt(after=60 * SECOND)
    await compare(desk)

    assert desk.order().status is OrderStatus.PLACED
    assert not desk.telemetry.said("venue_order_mismatch")


async def test_other_terms_under_our_id_without_a_restatement_are_still_a_mismatch() -> None:
    desk = Desk()
    await desk.store()
    desk.venue.keep(name_of(ORDER_ID), some_terms(quantity="40"))

    await compare(desk)

    assert desk.telemetry.said("venue_order_mismatch")
    assert "RESTATED" not in desk.kinds()
