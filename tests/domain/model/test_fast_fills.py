"""The fast path of a plain fill has the result of the whole rule, and is used for the intended reports."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.model.apply_reports import apply_reports
from domain.model.executions import Trade
from domain.model.fast_fills import apply_plain_fills
from domain.model.order import End, Order, OrderStatus
from domain.model.reports import OrderFilled, Report
from tests.support.examples import (
    accepted,
    after_reports,
    an_order,
    at,
    cancel_asked,
    cancel_refused,
    cancel_sent,
    ended,
    restated,
)
from tests.support.fakes.clock import CountingIds

decimals = st.integers(min_value=1, max_value=10**12).map(lambda units: Decimal(units).scaleb(-6))
trades = st.lists(st.builds(Trade, quantity=decimals, price=decimals), min_size=1, max_size=4)
before: st.SearchStrategy[Sequence[Report]] = st.sampled_from(
    [
        (accepted(),),
        (),
        (accepted(), cancel_asked(), cancel_sent()),
        (accepted(), cancel_asked(), cancel_sent(), cancel_refused(1)),
        (accepted(), ended(End.CANCELED)),
        (accepted(), restated("0.5")),
        (accepted(), restated("5000000")),
    ]
)


def fills(quantities: Sequence[Trade]) -> list[OrderFilled]:
    """Generate consecutive fills, each continuing from the previous one."""
    totals = accumulate(trade.quantity for trade in quantities)
    return [
        OrderFilled(
            venue_execution_id=f"E{number}", trade=trade, cumulative_quantity=total, venue_order_id="V1", at=at(number)
        )
        for number, (trade, total) in enumerate(zip(quantities, totals, strict=True))
    ]


@st.composite
def disturbed(draw: st.DrawFn) -> list[Report]:
    """Generate the same with one of them changed, repeated, left out, or placed among other reports."""
    reports: list[OrderFilled] = fills(draw(trades))
    place = draw(st.integers(min_value=0, max_value=len(reports) - 1))
    fill = reports[place]
    put: Sequence[Report] = draw(
        st.sampled_from(
            [
                (fill,),
                (),
                (fill, fill),
                (fill, ended(End.CANCELED)),
                (replace(fill, cumulative_quantity=None),),
                (replace(fill, venue_order_id="V2"),),
                (replace(fill, venue_order_id=None),),
                (replace(fill, trade=Trade(quantity=Decimal(0), price=fill.trade.price)),),
                (fill, replace(fill, cumulative_quantity=(fill.cumulative_quantity or 0) + fill.trade.quantity)),
            ]
        )
    )
    return [*reports[:place], *put, *reports[place + 1 :]]


def both_ways(order: Order, reports: Sequence[Report]) -> Callable[[], None] | None:
    """Apply the reports both ways; return the outcomes to compare, or None when the fast path was not used."""
    plain = apply_plain_fills(order, reports, now=at(99), new_id=CountingIds())
    if plain is None:
        return None

    def compare() -> None:
        whole = apply_reports(order, reports, known=(), now=at(99), new_id=CountingIds())
        assert plain.order == whole.order
        assert plain.order.status is whole.order.status
        assert list(plain.changes) == list(whole.changes)
        assert list(plain.executions) == list(whole.executions)
        assert list(plain.anomalies) == list(whole.anomalies)

    return compare


@given(before=before, reports=disturbed(), quantity=decimals)
def test_the_fast_path_has_the_result_of_the_whole_rule(
    before: Sequence[Report], reports: Sequence[Report], quantity: Decimal
) -> None:
    order = after_reports(an_order(quantity=str(quantity)), *before).order

    compare = both_ways(order, reports)

    if compare is not None:
        compare()


@given(quantities=trades, rest=st.just(Decimal(0)) | decimals)
def test_fills_in_a_row_take_the_short_way(quantities: Sequence[Trade], rest: Decimal) -> None:
    total = sum((trade.quantity for trade in quantities), start=rest)
    order = after_reports(an_order(quantity=str(total)), accepted()).order

    compare = both_ways(order, fills(quantities))

    assert compare is not None
    compare()


def test_the_last_fill_ends_the_order() -> None:
    order = after_reports(an_order(quantity="3"), accepted()).order
    applied = apply_plain_fills(
        order, fills([Trade(quantity=Decimal(3), price=Decimal(1))]), now=at(99), new_id=lambda: UUID(int=1)
    )

    assert applied is not None
    assert applied.order.status is OrderStatus.FILLED


def test_two_fills_of_one_name_are_left_to_the_whole_rule() -> None:
    order = after_reports(an_order(quantity="10"), accepted()).order
    first, second = fills([Trade(quantity=Decimal(1), price=Decimal(1)), Trade(quantity=Decimal(2), price=Decimal(1))])
    again = replace(second, venue_execution_id=first.venue_execution_id)

    assert both_ways(order, [first, again]) is None
