"""Properties of the order's rule: in any order, batches and repeats of reports, the order is the same.

Here an execution that was amended has one id and those of its amendments; two ids of the stream and of REST together
with amendments are in `test_amended_executions`. An amendment's id amends one execution, as the venue's ids do, and a
known id repeats its content: of two contents of one id the first one counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.apply_reports import apply_reports
from domain.model.changes import ChangeKind
from domain.model.executions import Execution, Trade
from domain.model.order import CANCELED_BEFORE_SENDING, End, Order, OrderStatus, VenueCount, VenueRank
from domain.model.progress import PROGRESS, STEPS_BACK
from domain.model.reports import (
    ExecutionBusted,
    ExecutionCorrected,
    FilledQuantityCounted,
    OrderEnded,
    OrderFilled,
    Report,
)
from domain.model.values import Reason, ReasonSource
from tests.support.examples import (
    VENUE_REFUSES,
    VENUE_SAYS,
    accepted,
    an_order,
    at,
    became_unknown,
    busted,
    cancel_asked,
    cancel_refused,
    cancel_sent,
    corrected,
    ended,
    ended_by_operator,
    filled,
    given_up,
    refused,
    restated,
    shown_open,
)
from tests.support.fakes.clock import CountingIds
from tests.support.thoroughness import examples

AMENDMENT = "-amendment-"
"""What the ids of amendments have behind the id of their execution."""
OTHER_WORDING = Reason(source=ReasonSource.VENUE, code="OTHER", message="Another wording.")
OUR_HISTORIES: Sequence[Sequence[Report]] = (
    (),
    (became_unknown(),),
    (given_up(),),
    (became_unknown(), given_up()),
    (cancel_asked(),),
    (cancel_asked(), cancel_sent()),
    (became_unknown(), cancel_asked()),
    (cancel_asked(), given_up()),
    (cancel_asked(), cancel_sent(), cancel_refused(1), cancel_asked(), cancel_sent(2)),
    (refused(),),
    (became_unknown(refusal=OTHER_WORDING),),
    (cancel_asked(), refused()),
    (given_up(), refused()),
    (ended(End.CANCELED, reason=CANCELED_BEFORE_SENDING),),
    (became_unknown(), cancel_asked(), ended(End.CANCELED, reason=CANCELED_BEFORE_SENDING)),
)

quantities = st.integers(min_value=1, max_value=10**9).map(lambda units: Decimal(units).scaleb(-6))
prices = st.integers(min_value=1, max_value=10**12).map(lambda units: Decimal(units).scaleb(-8))
venue_order_ids = st.sampled_from([None, "V1", "V1", "V2"])
# Created once: creating a strategy for each draw costs more than the draw.
trades_of_fills = st.lists(st.builds(Trade, quantity=quantities, price=prices), max_size=5)
first_left_out = st.sampled_from([0, 0, 0, 1])
amendments_at_most = st.integers(min_value=0, max_value=3)
busts_or_corrections = st.none() | st.tuples(
    st.builds(Trade, quantity=st.just(Decimal(0)) | quantities, price=prices),
    st.integers(min_value=50, max_value=53).map(at),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What we did, what the venue reported of it, and the same reports shuffled, repeated and cut into batches."""

    ours: Sequence[Report]
    reports: Sequence[Report]
    batches: Sequence[Sequence[Report]]


@st.composite
def fills_of(draw: st.DrawFn) -> list[Report]:
    """Generate fills with increasing cumulative quantities; some with a second id, some amended, some with the
    amendment missed.
    """
    trades = draw(trades_of_fills)
    counts_up = draw(st.booleans())
    totals = accumulate(trade.quantity for trade in trades)
    reports: list[Report] = []
    for number, (trade, total) in enumerate(zip(trades, totals, strict=True)):
        fill = OrderFilled(
            venue_execution_id=f"E{number}",
            trade=trade,
            cumulative_quantity=total if counts_up else None,
            venue_order_id=draw(venue_order_ids),
            at=at(number),
        )
        if counts_up and draw(st.booleans()):
            reports += [fill, replace(fill, venue_execution_id=f"R{number}", venue_order_id=draw(venue_order_ids))]
        else:
            reports += [fill, *draw(amendments_of(fill))][draw(first_left_out) :]
    return reports


@st.composite
def amendments_of(draw: st.DrawFn, fill: OrderFilled) -> list[Report]:
    """Generate corrections and busts, which may name each other; after one of them the venue's count may reach the
    same total again.
    """
    name = fill.venue_execution_id
    names, amendments, listed = [name], list[Report](), list[Report]()
    for number in range(draw(amendments_at_most)):
        own_id = f"{name}{AMENDMENT}{number}" if draw(st.booleans()) else None
        amended = draw(st.sampled_from(names)) if len(names) > 1 else name
        correction = draw(busts_or_corrections)
        amendments.append(
            ExecutionBusted(venue_execution_id=amended, at=at(60), amendment_id=own_id)
            if correction is None
            else ExecutionCorrected(
                venue_execution_id=amended, trade=correction[0], at=correction[1], amendment_id=own_id
            )
        )
        if own_id is not None:
            names.append(own_id)
            listed += [replace(fill, venue_execution_id=own_id)] * draw(st.booleans())
    comes_to_the_total_again = draw(st.booleans())
    if amendments and comes_to_the_total_again:
        trade = Trade(quantity=fill.trade.quantity + draw(st.sampled_from([0, 1])), price=fill.trade.price)
        later = max(amendment.at for amendment in amendments)
        listed.append(replace(fill, venue_execution_id=f"{name}-again", trade=trade, at=later))
    return amendments + listed


submission_reports: st.SearchStrategy[Report] = st.sampled_from(
    [became_unknown(), became_unknown(refusal=VENUE_REFUSES), given_up(), refused()]
)
other_reports = st.lists(
    st.one_of(
        st.builds(
            accepted, rank=st.sampled_from([VenueRank.ACCEPTED, VenueRank.WORKING]), venue_order_id=st.just("V1")
        ),
        st.builds(
            ended,
            st.sampled_from(End),
            reason=st.sampled_from([VENUE_SAYS, OTHER_WORDING]),
            count=st.none() | st.builds(VenueCount, at=st.sampled_from([at(3), at(4)]), quantity=quantities),
        ),
        st.builds(
            FilledQuantityCounted,
            venue_order_id=st.just("V1"),
            count=st.builds(VenueCount, at=st.sampled_from([at(2), at(4), at(5)]), quantity=quantities),
        ),
        st.builds(cancel_refused, st.none(), second=st.integers(min_value=8, max_value=10)),
        st.builds(
            restated,
            st.sampled_from(["0.000001", "1", "1000", "5000"]),
            symbol=st.sampled_from(["AAPL", "META"]),
            limit_price=st.sampled_from([None, "9"]),
            second=st.integers(min_value=4, max_value=6),
        ),
        submission_reports,
    ),
    max_size=4,
)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    reports: list[Report] = [*draw(fills_of()), *draw(other_reports)]
    repeats = draw(st.lists(st.sampled_from(reports), max_size=4)) if reports else []
    shuffled = draw(st.permutations(reports + repeats))
    batches: list[list[Report]] = [[]]
    for report in shuffled:
        batches[-1].append(report)
        if draw(st.booleans()):
            batches.append([])
    return Story(ours=draw(st.sampled_from(OUR_HISTORIES)), reports=reports, batches=batches)


@dataclass(slots=True)
class Ledger:
    """An order and its executions, stored from batch to batch as in the database."""

    order: Order
    executions: dict[str, Execution]
    steps: list[tuple[Order, Order, ChangeKind]] = field(default_factory=list)

    @classmethod
    def after(cls, *batches: Sequence[Report], quantity: str = "1000") -> "Ledger":
        """Return the ledger of a new order after these batches."""
        ledger = cls(order=an_order(quantity=quantity), executions={})
        for batch in batches:
            ledger.apply(batch)
        return ledger

    def apply(self, batch: Sequence[Report]) -> None:
        """Apply one batch, and note every step that a change made."""
        applied = apply_reports(
            self.order, batch, known=self.executions.values(), now=at(99), new_id=CountingIds(len(self.executions))
        )
        before = self.order
        for change in applied.changes:
            self.steps.append((before, change.order, change.kind))
            before = change.order
        self.order = applied.order
        self.executions.update({execution.venue_execution_id: execution for execution in applied.executions})


def expected_trades(reports: Sequence[Report]) -> dict[str, Trade]:
    """Return what each execution counts for, computed differently from the domain: by the last amendment of each."""
    trades: dict[str, Trade] = {}
    for report in reports:
        is_another_id = isinstance(report, OrderFilled) and (
            report.venue_execution_id.startswith("R") or AMENDMENT in report.venue_execution_id
        )
        if isinstance(report, OrderFilled) and not is_another_id:
            trades[report.venue_execution_id] = report.trade
    corrections = [report for report in reports if isinstance(report, ExecutionCorrected)]
    for correction in sorted(corrections, key=lambda one: (one.at, one.trade.quantity, one.trade.price)):
        trades[correction.venue_execution_id.partition(AMENDMENT)[0]] = correction.trade
    for report in reports:
        if isinstance(report, ExecutionBusted):
            trades.pop(report.venue_execution_id.partition(AMENDMENT)[0], None)
    return trades


@settings(max_examples=examples(150, thorough=1000), deadline=None)
@given(stories())
def test_any_permutation_with_repeats_of_the_reports_has_the_same_result(story: Story) -> None:
    straight = Ledger.after(story.ours, story.reports)

    shuffled = Ledger.after(story.ours, *story.batches)

    assert shuffled.order.facts == straight.order.facts
    assert shuffled.order.status is straight.order.status
    assert shuffled.order.reason == straight.order.reason


@settings(max_examples=examples(100, thorough=200), deadline=None)
@given(stories())
def test_quantity_and_notional_are_the_exact_sums_of_the_executions(story: Story) -> None:
    order = Ledger.after(story.ours, *story.batches).order

    trades = expected_trades(story.reports).values()
    assert Fraction(order.facts.filled_quantity) == sum((Fraction(one.quantity) for one in trades), Fraction(0))
    assert Fraction(order.facts.notional) == sum(
        (Fraction(one.quantity) * Fraction(one.price) for one in trades), Fraction(0)
    )


@settings(max_examples=examples(100, thorough=200), deadline=None)
@given(stories())
def test_the_executions_add_up_to_the_order(story: Story) -> None:
    ledger = Ledger.after(story.ours, *story.batches)

    trades = [execution.trade for execution in ledger.executions.values()]
    assert Fraction(ledger.order.facts.filled_quantity) == sum((Fraction(one.quantity) for one in trades), Fraction(0))


@settings(max_examples=examples(100, thorough=200), deadline=None)
@given(stories())
def test_a_repeat_of_everything_changes_nothing(story: Story) -> None:
    ledger = Ledger.after(story.ours, *story.batches)

    repeated = apply_reports(
        ledger.order, story.reports, known=ledger.executions.values(), now=at(100), new_id=CountingIds(100)
    )

    assert repeated.order == ledger.order
    assert not repeated.changes
    assert not repeated.executions


@settings(max_examples=examples(100, thorough=200), deadline=None)
@given(stories())
def test_each_change_is_exactly_one_version_and_shows_the_order_as_it_stood(story: Story) -> None:
    ledger = Ledger.after(story.ours, *story.batches)

    versions = [after.version for _, after, _ in ledger.steps]
    assert versions == list(range(2, 2 + len(versions)))
    assert ledger.order.version == 1 + len(versions)


@settings(max_examples=examples(150, thorough=400), deadline=None)
@given(stories())
def test_more_facts_never_move_an_order_back_but_by_the_table(story: Story) -> None:
    ledger = Ledger.after(*([report] for report in story.ours), *([one] for batch in story.batches for one in batch))

    for before, after, kind in ledger.steps:
        goes_on = PROGRESS[after.status] >= PROGRESS[before.status]
        assert goes_on or after.status in allowed_back(before, kind), (before.status, kind, after.status)


def allowed_back(before: Order, kind: ChangeKind) -> frozenset[OrderStatus]:
    rows = [STEPS_BACK.get((status, kind), frozenset()) for status in (before.status, None)]
    return rows[0] | rows[1]


def test_a_fill_that_counts_differently_under_the_same_total_is_another_fill() -> None:
    # The first fill was corrected from 5 to 4, so the venue reaches a total of 5 again.
    ledger = Ledger.after([filled("5", cumulative="5")])

    ledger.apply([filled("1", name="E2", cumulative="5")])

    assert ledger.order.facts.filled_quantity == Decimal(6)


def test_an_equal_trade_that_reaches_the_same_total_after_a_bust_is_another_fill() -> None:
    fill = filled("5", cumulative="5")
    again = replace(fill, venue_execution_id="E2", at=at(60))
    reports: list[Report] = [fill, busted("E1"), again, fill]
    orders = [Ledger.after(each, quantity="10").order for each in permutations(reports)]

    assert {order.facts.filled_quantity for order in orders} == {Decimal(5)}


def test_a_fill_reported_after_its_bust_is_still_known_by_its_total() -> None:
    ledger = Ledger.after([busted("E1")], [filled("5", cumulative="5")])

    ledger.apply([filled("5", name="R1", cumulative="5")])

    assert ledger.order.facts.filled_quantity == Decimal(0)


def canceled_by_us() -> OrderEnded:
    return ended(End.CANCELED, reason=CANCELED_BEFORE_SENDING)


STEPS: Sequence[tuple[Sequence[Report], Report, OrderStatus]] = [
    ((cancel_asked(),), cancel_refused(), OrderStatus.PENDING),
    ((became_unknown(), cancel_asked()), cancel_refused(), OrderStatus.IN_DOUBT),
    ((accepted(), cancel_asked()), cancel_refused(), OrderStatus.PLACED),
    ((filled("1"), cancel_asked()), cancel_refused(), OrderStatus.PARTIALLY_FILLED),
    ((given_up(),), accepted(), OrderStatus.PLACED),
    ((cancel_asked(), given_up()), accepted(), OrderStatus.PENDING_CANCEL),
    ((given_up(),), filled("1"), OrderStatus.PARTIALLY_FILLED),
    ((cancel_asked(), given_up()), filled("1"), OrderStatus.PENDING_CANCEL),
    ((refused(),), accepted(), OrderStatus.PLACED),
    ((cancel_asked(), refused()), accepted(), OrderStatus.PENDING_CANCEL),
    ((became_unknown(), refused()), filled("1"), OrderStatus.PARTIALLY_FILLED),
    ((refused(),), busted(), OrderStatus.PLACED),
    ((canceled_by_us(),), accepted(), OrderStatus.PENDING_CANCEL),
    ((canceled_by_us(), cancel_refused()), accepted(), OrderStatus.PLACED),
    ((cancel_asked(), canceled_by_us()), accepted(), OrderStatus.PENDING_CANCEL),
    ((canceled_by_us(), ended(End.REJECTED)), accepted(), OrderStatus.REJECTED),
    ((canceled_by_us(),), filled("1"), OrderStatus.PENDING_CANCEL),
    ((canceled_by_us(), cancel_refused()), filled("1"), OrderStatus.PARTIALLY_FILLED),
    ((cancel_asked(), canceled_by_us()), filled("1"), OrderStatus.PENDING_CANCEL),
    ((canceled_by_us(), ended(End.REJECTED)), ended(End.EXPIRED), OrderStatus.EXPIRED),
    ((filled("10"),), busted(), OrderStatus.PLACED),
    ((filled("10"),), corrected("4"), OrderStatus.PARTIALLY_FILLED),
    ((cancel_asked(), filled("10")), busted(), OrderStatus.PENDING_CANCEL),
    ((filled("10"), ended(End.EXPIRED)), corrected("4"), OrderStatus.EXPIRED),
    ((filled("10"), ended(End.CANCELED)), corrected("4"), OrderStatus.CANCELED),
    ((filled("10"), ended(End.REJECTED)), busted(), OrderStatus.REJECTED),
    ((filled("4"), ended(End.REJECTED)), busted(), OrderStatus.REJECTED),
    ((given_up(),), busted(), OrderStatus.PLACED),
    ((accepted(), ended_by_operator("EXPIRED")), shown_open(), OrderStatus.PLACED),
    ((filled("4"), ended_by_operator("EXPIRED")), shown_open(), OrderStatus.PARTIALLY_FILLED),
    ((accepted(), cancel_asked(), ended_by_operator("EXPIRED")), shown_open(), OrderStatus.PENDING_CANCEL),
    ((filled("4"), ended_by_operator("CANCELED")), shown_open(), OrderStatus.PARTIALLY_FILLED),
    ((accepted(), ended_by_operator("CANCELED")), ended(End.REJECTED), OrderStatus.REJECTED),
    ((accepted(), ended_by_operator("EXPIRED")), ended(End.REJECTED), OrderStatus.REJECTED),
    ((filled("10"),), restated("40"), OrderStatus.PARTIALLY_FILLED),
    ((cancel_asked(), filled("10")), restated("40"), OrderStatus.PENDING_CANCEL),
    ((filled("10"), ended(End.EXPIRED)), restated("40"), OrderStatus.EXPIRED),
    ((filled("10"), ended(End.CANCELED)), restated("40"), OrderStatus.CANCELED),
]


@pytest.mark.parametrize(("before", "report", "after"), STEPS)
def test_each_of_these_steps_back_happens(before: Sequence[Report], report: Report, after: OrderStatus) -> None:
    ledger = Ledger.after(before, quantity="10")
    status = ledger.order.status

    ledger.apply([report])

    assert PROGRESS[after] < PROGRESS[status] or ledger.steps[-2][2] is ChangeKind.REVIVED
    assert ledger.order.status is after


def test_the_table_of_steps_back_names_nothing_that_cannot_happen() -> None:
    reached = set()
    for reports, report, _ in STEPS:
        ledger = Ledger.after(reports, quantity="10")
        taken = len(ledger.steps)
        ledger.apply([report])
        reached |= {(before.status, kind, after.status) for before, after, kind in ledger.steps[taken:]}

    listed = {(status, kind, after) for (status, kind), allowed in STEPS_BACK.items() if status for after in allowed}
    assert listed <= reached
