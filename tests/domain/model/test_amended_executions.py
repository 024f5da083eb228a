"""Busts, corrections and second ids of executions: which id the venue uses to amend them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.apply_reports import Applied
from domain.model.changes import Anomaly, ChangeKind
from domain.model.executions import Trade
from domain.model.order import End, OrderStatus, VenueCount, disagrees
from domain.model.reports import ExecutionBusted, ExecutionCorrected, OrderFilled, Report
from tests.domain.model.test_order_properties import Ledger
from tests.support.examples import after_reports, an_order, at, busted, ended, filled

PRICE = Decimal(230)


def fill(name: str, quantity: int, *, total: int, second: int) -> OrderFilled:
    """Return a fill at that second."""
    trade = Trade(quantity=Decimal(quantity), price=PRICE)
    return OrderFilled(
        venue_execution_id=name,
        trade=trade,
        cumulative_quantity=Decimal(total),
        venue_order_id="V1",
        at=at(second),
    )


def bust(name: str, *, second: int, own_id: str | None = None) -> ExecutionBusted:
    """Return a bust at that second."""
    return ExecutionBusted(venue_execution_id=name, at=at(second), amendment_id=own_id)


def correction(name: str, quantity: int, *, second: int, own_id: str | None = None) -> ExecutionCorrected:
    """Return a correction at that second."""
    trade = Trade(quantity=Decimal(quantity), price=PRICE)
    return ExecutionCorrected(venue_execution_id=name, trade=trade, at=at(second), amendment_id=own_id)


def filled_after_each_order_of(reports: Sequence[Report]) -> set[Decimal]:
    """Return the filled quantities for all permutations of the reports, each report in a separate batch."""
    return {
        Ledger.after(*([one] for one in order), quantity="100").order.facts.filled_quantity
        for order in permutations(reports)
    }


def test_an_equal_fill_right_after_a_bust_is_another_fill_in_any_order() -> None:
    reports: list[Report] = [
        fill("E1", 33, total=33, second=0),
        fill("E2", 33, total=66, second=1),
        bust("E2", second=2),
        fill("E3", 33, total=66, second=2),
        fill("E4", 34, total=100, second=3),
    ]

    assert filled_after_each_order_of(reports) == {Decimal(100)}


def test_an_equal_fill_after_the_bust_of_an_earlier_one_is_another_fill() -> None:
    reports: list[Report] = [
        fill("E1", 33, total=33, second=0),
        fill("E2", 33, total=66, second=1),
        bust("E1", second=2),
        fill("E3", 33, total=66, second=3),
    ]

    assert filled_after_each_order_of(reports) == {Decimal(66)}


def test_the_second_id_of_a_busted_fill_counts_for_nothing() -> None:
    reports: list[Report] = [
        fill("E1", 33, total=33, second=0),
        fill("R1", 33, total=33, second=0),
        bust("E1", second=2),
        fill("E2", 33, total=33, second=3),
        fill("R2", 33, total=33, second=3),
    ]

    assert filled_after_each_order_of(reports) == {Decimal(33)}


def test_fills_that_are_all_busted_by_either_of_their_ids_leave_nothing() -> None:
    reports: list[Report] = [
        fill("E1", 33, total=33, second=0),
        bust("E1", second=1),
        fill("E2", 33, total=33, second=2),
        fill("R2", 33, total=33, second=2),
        bust("R2", second=3),
    ]

    assert filled_after_each_order_of(reports) == {Decimal(0)}


def test_an_amendment_may_name_the_amendment_before_it_over_any_number_of_steps() -> None:
    reports: list[Report] = [
        fill("A", 33, total=33, second=0),
        correction("A", 40, second=1, own_id="B"),
        fill("B", 40, total=40, second=0),
        correction("B", 50, second=2, own_id="C"),
        fill("C", 50, total=50, second=0),
    ]

    assert filled_after_each_order_of(reports) == {Decimal(50)}
    assert filled_after_each_order_of([*reports, bust("C", second=3, own_id="D")]) == {Decimal(0)}


def test_a_bust_of_a_corrections_id_undoes_the_execution() -> None:
    ledger = Ledger.after(
        [fill("A", 33, total=33, second=0)], [correction("A", 33, second=1, own_id="B")], quantity="100"
    )

    ledger.apply([fill("B", 33, total=33, second=0)])
    assert ledger.order.facts.filled_quantity == Decimal(33)

    ledger.apply([bust("B", second=2, own_id="C")])
    assert ledger.order.facts.filled_quantity == Decimal(0)


def test_people_see_one_execution_under_one_id_throughout_its_corrections() -> None:
    ledger = Ledger.after([fill("A", 33, total=33, second=0)], quantity="100")
    for report in (correction("A", 40, second=1, own_id="B"), correction("B", 50, second=2, own_id="C")):
        ledger.apply([report])

    shown = [one for one in ledger.executions.values() if one.is_counted]
    assert [(one.venue_execution_id, one.trade.quantity) for one in shown] == [("A", Decimal(50))]


def test_each_execution_that_counts_for_something_else_is_a_change_of_its_own() -> None:
    before = Ledger.after([fill("E1", 33, total=33, second=0), fill("E2", 33, total=33, second=2)], quantity="100")
    assert before.order.facts.filled_quantity == Decimal(33)

    applied = published_more(before, bust("E1", second=1))

    assert [(one.kind, one.order.facts.filled_quantity) for one in applied.changes] == [
        (ChangeKind.CORRECTED, Decimal(0)),
        (ChangeKind.FILL, Decimal(33)),
    ]


def published_more(ledger: Ledger, *reports: Report) -> Applied:
    """Apply more reports to the order of a ledger."""
    return after_reports(ledger.order, *reports, known=ledger.executions.values())


def test_a_known_id_with_other_content_is_an_anomaly_and_counts_once() -> None:
    ledger = Ledger.after([fill("E1", 33, total=33, second=0)], quantity="100")

    applied = published_more(ledger, fill("E1", 34, total=67, second=1))

    assert applied.anomalies == [Anomaly.EXECUTION_ID_REUSED, Anomaly.MISSED_FILL][: len(applied.anomalies)]
    assert applied.contradicted == {"E1"}
    assert applied.order.facts.filled_quantity == Decimal(33)


def test_a_fill_that_is_listed_as_it_was_corrected_contradicts_nothing() -> None:
    ledger = Ledger.after([fill("E1", 33, total=33, second=0)], [correction("E1", 40, second=1)], quantity="100")

    applied = published_more(ledger, fill("E1", 40, total=40, second=0))

    assert not applied.anomalies
    assert not applied.contradicted


def test_a_bust_of_an_execution_that_was_never_seen_is_stored_and_an_anomaly() -> None:
    applied = after_reports(an_order(quantity="100"), bust("E9", second=1))

    assert applied.anomalies == [Anomaly.UNKNOWN_EXECUTION_AMENDED]
    assert [one.is_busted for one in applied.executions] == [True]


def test_an_end_that_counts_more_than_is_known_shows_a_missed_fill() -> None:
    end = replace(ended(End.CANCELED), count=VenueCount(at=at(4), quantity=Decimal(33)))
    ledger = Ledger.after([end], quantity="100")

    assert Anomaly.MISSED_FILL in published_more(ledger, end).anomalies
    assert not published_more(ledger, fill("E1", 33, total=33, second=0)).anomalies[1:]


def test_a_count_below_the_recorded_one_shows_a_missed_amendment() -> None:
    end = replace(ended(End.CANCELED), count=VenueCount(at=at(4), quantity=Decimal(0)))

    assert Anomaly.MISSED_AMENDMENT in after_reports(an_order(), filled("5"), end).anomalies


@pytest.mark.parametrize("own_id", [None, "B"])
def test_a_bust_of_a_filled_order_counts_nothing_and_agrees_with_the_venue(own_id: str | None) -> None:
    count = VenueCount(at=at(3), quantity=Decimal(0))
    applied = after_reports(an_order(), filled("10"), replace(busted(), amendment_id=own_id, count=count))

    assert applied.order.facts.filled_quantity == Decimal(0)
    assert applied.order.status is OrderStatus.PLACED
    assert not applied.anomalies


def test_an_order_that_fills_up_after_a_correction_agrees_with_the_venue_in_any_order() -> None:
    count = VenueCount(at=at(2), quantity=Decimal(25))
    reports: list[Report] = [
        fill("E1", 50, total=50, second=1),
        replace(correction("E1", 25, second=2, own_id="E2"), count=count),
        fill("E3", 75, total=100, second=3),
    ]

    for order in permutations(reports):
        ledger = Ledger.after(*([one] for one in order), quantity="100")
        assert ledger.order.status is OrderStatus.FILLED
        assert not disagrees(ledger.order.facts), order


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """What the venue did to one order, in order, and what it counts in the end."""

    reports: Sequence[Report]
    counted: Decimal


@st.composite
def tales(draw: st.DrawFn) -> Tale:
    """Generate fills, busts and corrections like a venue: with counts, increasing times, and an id for each
    amendment.
    """
    reports: list[Report] = []
    live: dict[str, tuple[str, Decimal]] = {}
    total, ids = Decimal(0), iter(range(100))
    for second in range(draw(st.integers(min_value=1, max_value=6))):
        own_id = f"X{next(ids)}"
        is_amended = bool(live) and draw(st.booleans())
        chosen = draw(st.sampled_from(sorted(live))) if is_amended else None
        quantity = Decimal(draw(st.sampled_from([1, 1, 2])))
        if chosen is None:
            total += quantity
            new = fill(own_id, int(quantity), total=int(total), second=second)
            reports += [new, replace(new, venue_execution_id=f"R{own_id}")][: draw(st.integers(1, 2))]
            live[own_id] = (own_id, quantity)
            continue
        newest_id, known = live.pop(chosen)
        has_own_id = draw(st.booleans())
        if draw(st.booleans()):
            total -= known
            busted_now = bust(newest_id, second=second, own_id=own_id if has_own_id else None)
            reports.append(replace(busted_now, count=VenueCount(at=at(second), quantity=total)))
            continue
        total += quantity - known
        corrected = correction(newest_id, int(quantity), second=second, own_id=own_id if has_own_id else None)
        reports.append(replace(corrected, count=VenueCount(at=at(second), quantity=total)))
        live[chosen] = (own_id if has_own_id else newest_id, quantity)
        if has_own_id and draw(st.booleans()):
            reports.append(fill(own_id, int(quantity), total=int(total), second=second))
    return Tale(reports=reports, counted=total)


@settings(max_examples=400, deadline=None)
@given(tales(), st.data())
def test_in_any_order_of_reports_we_count_what_the_venue_counts(tale: Tale, data: st.DataObject) -> None:
    repeats = data.draw(st.lists(st.sampled_from(tale.reports), max_size=3))
    shuffled = data.draw(st.permutations([*tale.reports, *repeats]))

    ledger = Ledger.after(*([one] for one in shuffled), quantity="1000")

    assert ledger.order.facts.filled_quantity == tale.counted
    assert sum(one.trade.quantity for one in ledger.executions.values()) == tale.counted
    assert not disagrees(ledger.order.facts)
