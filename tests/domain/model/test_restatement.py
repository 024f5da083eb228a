"""The venue changes the terms of an order: the shown terms and fills follow, the original terms remain."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations

import pytest

from domain.model.changes import Anomaly, ChangeKind, PlacementState, snapshot
from domain.model.order import End, OrderStatus
from domain.model.reports import Report
from tests.support.examples import (
    accepted,
    after_reports,
    an_order,
    an_order_after_reports,
    ended,
    filled,
    given_up,
    restated,
    some_terms,
)


@pytest.mark.parametrize(
    ("reports", "status", "leaves"),
    [
        ([accepted(), restated("40")], OrderStatus.PLACED, "40"),
        ([filled("10"), restated("40")], OrderStatus.PARTIALLY_FILLED, "30"),
        ([restated("40"), filled("40")], OrderStatus.FILLED, "0"),
        ([filled("4"), restated("4")], OrderStatus.FILLED, "0"),
        ([filled("4"), restated("3")], OrderStatus.FILLED, "0"),
        ([filled("4"), restated("5"), ended(End.EXPIRED)], OrderStatus.EXPIRED, "0"),
        ([restated("40")], OrderStatus.PLACED, "40"),
        ([given_up(), restated("40")], OrderStatus.PLACED, "40"),
    ],
)
def test_the_restated_quantity_decides_the_status(reports: Sequence[Report], status: OrderStatus, leaves: str) -> None:
    orders = [an_order_after_reports(*each) for each in permutations(reports)]

    assert {order.status for order in orders} == {status}
    assert {order.leaves_quantity for order in orders} == {Decimal(leaves)}


def test_the_original_terms_stay_and_the_current_ones_are_shown() -> None:
    order = an_order_after_reports(accepted(), restated("40", symbol="META", limit_price="3"))

    shown = snapshot(order, placement=PlacementState())
    assert order.terms == shown.terms == some_terms()
    assert order.current_terms == shown.current_terms
    assert (shown.current_terms.quantity, shown.current_terms.symbol) == (Decimal(40), "META")
    assert (shown.current_terms.limit_price, shown.leaves_quantity) == (Decimal(3), Decimal(40))


def test_a_restatement_without_a_price_keeps_the_original_one() -> None:
    assert an_order_after_reports(restated("40")).current_terms.limit_price == some_terms().limit_price


def test_of_several_restatements_the_latest_counts_in_any_order() -> None:
    reports = [
        restated("40", second=2),
        restated("20", second=3),
        restated("20", symbol="META", second=3),
        restated("20", symbol="META", limit_price="1", second=3),
        restated("10", second=1),
    ]

    orders = [an_order_after_reports(*each) for each in permutations(reports)]

    assert {(order.quantity, order.current_terms.symbol) for order in orders} == {(Decimal(20), "META")}
    assert {order.current_terms.limit_price for order in orders} == {Decimal(1)}


def test_each_later_restatement_is_one_change_and_a_repeat_or_an_older_one_none() -> None:
    order = an_order_after_reports(accepted(), restated("40", second=3))

    assert [change.kind for change in after_reports(order, restated("20", second=4)).changes] == [ChangeKind.RESTATED]
    assert not after_reports(order, restated("40", second=3), restated("20", second=2)).changes


def test_a_fill_up_to_the_restated_quantity_is_no_overfill() -> None:
    assert not after_reports(an_order(), restated("40"), filled("40")).anomalies
    assert after_reports(an_order(), restated("5"), filled("10")).anomalies == [Anomaly.OVERFILL]
