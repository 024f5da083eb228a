"""The venue replaces an order by another one: the order continues, and ends, counts and names are per venue order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.changes import Anomaly, ChangeKind
from domain.model.order import End, Order, OrderStatus, VenueCount
from domain.model.progress import PROGRESS
from domain.model.reports import ExecutionBusted, OrderEnded, OrderReplaced, Report
from domain.model.restatement import Restatement
from tests.domain.model.test_order_properties import Ledger, allowed_back
from tests.support.examples import (
    accepted,
    after_reports,
    an_order,
    an_order_after_reports,
    at,
    cancel_asked,
    cancel_sent,
    ended,
    ended_by_operator,
    filled,
)

Message = Sequence[Report]
"""What one message of the venue, or one answer, says: in front of the rest what links its venue order to ours."""


def link(
    name: str = "V2",
    replaces: str = "V1",
    *,
    quantity: str | None = None,
    second: int = 4,
    completed: str | None = None,
) -> OrderReplaced:
    """One venue order replaced another; with a quantity as the new one itself shows it."""
    terms = None
    if quantity is not None:
        terms = Restatement(at=at(second), quantity=Decimal(quantity), symbol="AAPL", limit_price=Decimal(9))
    return OrderReplaced(
        venue_order_id=name,
        replaces=replaces,
        at=at(second),
        venue_client_order_id=None if quantity is None else f"foreign-{name}",
        restatement=terms,
        completed=None if completed is None else Decimal(completed),
    )


def replaced(name: str = "V1", *, counted: str | None = None) -> OrderEnded:
    """Return the end of the venue order by a replacement."""
    return over(End.REPLACED, name, counted=counted)


def over(end: End, name: str, *, counted: str | None = None) -> OrderEnded:
    """Return the end of the venue order with that status."""
    count = None if counted is None else VenueCount(at=at(5), quantity=Decimal(counted))
    return ended(end, venue_order_id=name, count=count)


@pytest.mark.parametrize(
    ("reports", "status", "quantity", "leaves"),
    [
        ([accepted(), link(), replaced()], OrderStatus.PLACED, "10", "10"),
        ([accepted(), link(quantity="6"), replaced()], OrderStatus.PLACED, "6", "6"),
        ([filled("4", venue_order_id="V1"), link(quantity="6"), replaced()], OrderStatus.PARTIALLY_FILLED, "10", "6"),
        # What is filled is filled of either.
        (
            [filled("4", venue_order_id="V1"), link(quantity="6"), filled("6", name="E2", venue_order_id="V2")],
            OrderStatus.FILLED,
            "10",
            "0",
        ),
        # The venue calls it filled with less than its quantity: then it counted the quantity of the chain.
        (
            [
                filled("4", venue_order_id="V1"),
                link(quantity="10", completed="6"),
                filled("6", name="E2", venue_order_id="V2"),
            ],
            OrderStatus.FILLED,
            "10",
            "0",
        ),
        # Its status by itself fills nothing.
        ([accepted(), link(quantity="6", completed="6")], OrderStatus.PLACED, "6", "6"),
        # Without a link it is over, as it was.
        ([accepted(), replaced()], OrderStatus.CANCELED, "10", "0"),
        ([accepted(), link(quantity="6"), replaced(), replaced("V2")], OrderStatus.CANCELED, "6", "0"),
        # The end is that of the newest one, once the one before is over.
        ([accepted(), link(quantity="6"), replaced(), over(End.EXPIRED, "V2")], OrderStatus.EXPIRED, "6", "0"),
        ([accepted(), link(quantity="6"), over(End.CANCELED, "V2")], OrderStatus.PLACED, "6", "6"),
        # Refused: the previous one continues, or ends.
        ([accepted(), link(quantity="6"), over(End.REJECTED, "V2")], OrderStatus.PLACED, "10", "10"),
        (
            [accepted(), link(quantity="6"), over(End.REJECTED, "V2"), over(End.EXPIRED, "V1")],
            OrderStatus.EXPIRED,
            "10",
            "0",
        ),
        (
            [filled("10", venue_order_id="V1"), link(quantity="6"), over(End.REJECTED, "V2")],
            OrderStatus.FILLED,
            "10",
            "0",
        ),
        # It filled during the replacement, and the new one stays open.
        ([filled("10", venue_order_id="V1"), link(quantity="6")], OrderStatus.PARTIALLY_FILLED, "16", "6"),
        (
            [accepted(), cancel_asked(), cancel_sent(), link(quantity="6"), replaced()],
            OrderStatus.PENDING_CANCEL,
            "6",
            "6",
        ),
    ],
)
def test_a_replaced_order_continues_as_its_newest_venue_order(
    reports: Sequence[Report], status: OrderStatus, quantity: str, leaves: str
) -> None:
    messages = [in_a_message(report) for report in reports]

    orders = [Ledger.after(*each, quantity="10").order for each in (messages, messages[::-1])]

    for order in orders:
        shown = (order.status, order.quantity, order.leaves_quantity)
        assert shown == (status, Decimal(quantity), Decimal(leaves))
        assert order.terms.quantity == 10


def in_a_message(report: Report) -> Message:
    """Return the report as in a message: one about a venue order that replaced another names that order."""
    about = getattr(report, "venue_order_id", None)
    return [link(), report] if about == "V2" and not isinstance(report, OrderReplaced) else [report]


def test_a_replacement_that_becomes_known_after_the_end_revives_the_order() -> None:
    closed = Ledger.after([accepted()], [replaced()])

    closed.apply([link()])
    closed.apply([link(quantity="6")])

    assert [kind for _, _, kind in closed.steps] == [
        ChangeKind.PLACED,
        ChangeKind.CANCELED,
        ChangeKind.REVIVED,
        ChangeKind.RESTATED,
    ]
    assert closed.order.status is OrderStatus.PLACED


def test_equal_fills_with_equal_totals_of_two_venue_orders_both_count() -> None:
    order = an_order()
    first = after_reports(
        order, filled("3", name="E1", cumulative="3", venue_order_id="V1"), link(quantity="7"), replaced()
    )

    second = after_reports(
        first.order,
        filled("3", name="E2", cumulative="3", venue_order_id="V2"),
        # The same by the name of REST.
        filled("3", name="R2", cumulative="3", venue_order_id="V2"),
        known=first.executions,
    )

    assert second.order.facts.filled_quantity == 6
    assert [one.venue_order_id for one in (*first.executions, *second.executions)] == [None, "V2", "V2"]
    assert not second.anomalies


def test_an_amendment_of_one_venue_order_is_between_no_fills_of_another() -> None:
    fill = filled("3", name="E1", cumulative="3", venue_order_id="V1")
    again = replace(fill, venue_execution_id="R1", at=at(60))
    other = filled("2", name="E2", cumulative="2", venue_order_id="V2")
    busts = ExecutionBusted(venue_execution_id="E2", at=at(30), venue_order_id="V2")

    order = an_order_after_reports(fill, link(quantity="7"), other, busts, again)

    assert order.facts.filled_quantity == 3


@pytest.mark.parametrize(
    ("counted_first", "counted_second", "anomalies"),
    [("4", "2", []), ("5", "2", [Anomaly.MISSED_FILL]), ("4", "1", [Anomaly.MISSED_AMENDMENT]), ("4", None, [])],
)
def test_what_the_venue_counts_is_compared_by_venue_order(
    counted_first: str, counted_second: str | None, anomalies: Sequence[Anomaly]
) -> None:
    reports: list[Report] = [
        filled("4", name="E1", cumulative="4", venue_order_id="V1"),
        link(quantity="6"),
        replaced(counted=counted_first),
        filled("2", name="E2", cumulative="2", venue_order_id="V2"),
        over(End.CANCELED, "V2", counted=counted_second),
    ]

    applied = after_reports(an_order(), *reports)

    assert applied.order.status is OrderStatus.CANCELED
    assert list(applied.anomalies) == anomalies


def test_a_gap_in_the_fills_of_the_newest_venue_order_is_a_missed_fill() -> None:
    applied = after_reports(
        an_order(),
        filled("4", name="E1", cumulative="4", venue_order_id="V1"),
        link(quantity="6"),
        filled("1", name="E3", cumulative="2", venue_order_id="V2"),
    )

    assert list(applied.anomalies) == [Anomaly.MISSED_FILL]


def test_no_change_ends_an_order_that_continues() -> None:
    ledger = Ledger.after(
        [accepted()],
        [link(quantity="6")],
        [replaced()],
        [link("V3", "V2", quantity="5", second=6)],
        [replaced("V2")],
        [over(End.REJECTED, "V3")],
    )
    kinds = [kind for _, _, kind in ledger.steps]

    # The last: what replaced it was refused, and it is replaced all the same.
    assert kinds == [ChangeKind.PLACED, ChangeKind.RESTATED, ChangeKind.RESTATED, ChangeKind.CANCELED]


def test_a_venue_order_that_replaced_one_since_overrules_an_operators_end() -> None:
    order = an_order_after_reports(accepted(), ended_by_operator("CANCELED"), link(quantity="6", second=8))

    assert order.status is OrderStatus.PLACED


def test_links_may_arrive_newest_first() -> None:
    order = an_order_after_reports(
        accepted(), link("V3", "V2", quantity="3", second=6), link(quantity="6"), replaced("V2")
    )

    assert order.whole.venue_order_id == "V3"
    assert order.quantity == 3


@st.composite
def messages_of_a_chain(draw: st.DrawFn, *, ends_often: bool = False) -> list[Message]:
    """Generate the messages about up to three venue orders, as sent by the stream and the lists.

    With `ends_often` orders end that were also replaced: no venue does that.
    """
    names = ["V1", "V2", "V3"][: draw(st.integers(min_value=1, max_value=3))]
    messages: list[Message] = []
    for number, name in enumerate(names):
        quantity = str(draw(st.integers(min_value=5, max_value=9)))
        own: list[Report] = []
        if number:
            before = names[number - 1]
            own = [link(names[one], names[one - 1], second=4 + one) for one in range(1, number)]
            own.append(link(name, before, quantity=quantity, second=4 + number))
            messages.append(own)
            messages.append([*own[:-1], link(name, before, second=4 + number), replaced(before)])
        messages.append([*own, accepted(venue_order_id=name)])
        total = Decimal(0)
        for fill in range(draw(st.integers(min_value=0, max_value=3))):
            # Equal fills and totals in all venue orders: only the venue order distinguishes them.
            total += 1
            told_as = filled("1", name=f"{name}-{fill}", cumulative=str(total), venue_order_id=name)
            messages.append([*own, told_as])
            listed = draw(st.sampled_from([None, "other name", "bust"]))
            if listed == "other name":
                messages.append([*own, replace(told_as, venue_execution_id=f"R-{name}-{fill}")])
            elif listed == "bust":
                busts = ExecutionBusted(venue_execution_id=f"{name}-{fill}", at=at(40 + fill), venue_order_id=name)
                messages.append([*own, busts])
        end = draw(st.sampled_from([None, None, *End]))
        if end is not None and (ends_often or name == names[-1]):
            messages.append([*own, over(end, name, counted=draw(st.sampled_from([None, "1", str(total)])))])
        if number and draw(st.booleans()):
            messages.append([*own[:-1], link(name, names[number - 1], quantity=quantity, completed=str(total))])
    return messages


def test_a_replacement_that_the_venue_calls_filled_with_everything_taken_back_is_not_filled_by_nothing() -> None:
    ledger = Ledger.after([accepted(venue_order_id="V1")], [link("V2", "V1", quantity="5", completed="0")])

    assert ledger.order.status is OrderStatus.PLACED
    assert ledger.order.quantity == 5


@settings(max_examples=200, deadline=None)
@given(messages_of_a_chain(ends_often=True), st.data())
def test_any_permutation_with_repeats_of_a_chains_messages_has_the_same_result(
    messages: list[Message], data: st.DataObject
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(messages), max_size=4))
    straight = Ledger.after(*messages)

    shuffled = Ledger.after(*data.draw(st.permutations(messages + repeats)))

    assert shuffled.order.facts == straight.order.facts
    assert shuffled.order.status is straight.order.status
    assert shuffled.order.whole == straight.order.whole
    assert_adds_up(shuffled)


@settings(max_examples=200, deadline=None)
@given(messages_of_a_chain(), st.data())
def test_more_of_a_chains_messages_never_move_an_order_back_but_by_the_table(
    messages: list[Message], data: st.DataObject
) -> None:
    ledger = Ledger.after(*data.draw(st.permutations(messages)))

    for before, after, kind in ledger.steps:
        goes_on = PROGRESS[after.status] >= PROGRESS[before.status]
        assert goes_on or after.status in allowed_back(before, kind), (before.status, kind, after.status)


def assert_adds_up(ledger: Ledger) -> None:
    """Assert that the counted executions sum to the order's quantity, and those of each venue order to its own."""
    order: Order = ledger.order
    own = {name: one.facts.filled_quantity for name, one in order.facts.successors.items()}
    for name, quantity in own.items():
        counted = [one.trade.quantity for one in ledger.executions.values() if one.venue_order_id == name]
        assert sum(counted, Decimal(0)) == quantity
    assert sum((one.trade.quantity for one in ledger.executions.values()), Decimal(0)) == order.facts.filled_quantity


def test_the_first_time_of_a_replacement_holds() -> None:
    times: list[datetime] = []
    for reports in permutations([link(second=4), link(quantity="6", second=7)]):
        order = an_order_after_reports(accepted(), *reports)
        times.append(order.facts.successors["V2"].linked_at)

    assert times == [at(4), at(4)]
