"""Properties of operators' decisions: in any order of them and the venue's reports, the venue's reports count."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import accumulate
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.apply_reports import apply_reports
from domain.model.changes import ChangeKind
from domain.model.execution_index import BOOKED_FILL_WITHIN
from domain.model.executions import Execution, Trade
from domain.model.operator_end import EndedAs
from domain.model.order import FINAL_STATUSES, Order
from domain.model.progress import PROGRESS, STEPS_BACK
from domain.model.reports import (
    ExecutionBooked,
    ExecutionBusted,
    OperatorBusted,
    OperatorEnded,
    OperatorReport,
    OrderFilled,
    OrderShownOpen,
    Report,
)
from domain.model.values import EXACT, ZERO, Reason, ReasonSource
from tests.support.examples import an_order, at
from tests.support.fakes.clock import CountingIds

QUANTITY = "100000"
BY_STATEMENT = Reason(source=ReasonSource.OPERATOR, code="OPERATOR_CANCELED", message="An operator ended it.")

trades = st.builds(Trade, quantity=st.sampled_from([Decimal(33), Decimal(34)]), price=st.just(Decimal(230)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The venue's executions and busts, interleaved with operators' bookings and busts."""

    fills: Sequence[OrderFilled]
    busts: Sequence[ExecutionBusted]
    interleaved: Sequence[Sequence[Report]]


@st.composite
def fills_of_a_venue(draw: st.DrawFn) -> Sequence[OrderFilled]:
    """Generate fills of equal trades too, some at the same time."""
    made = draw(st.lists(trades, min_size=1, max_size=4))
    totals = accumulate(trade.quantity for trade in made)
    return [
        OrderFilled(
            venue_execution_id=f"E{number}",
            trade=trade,
            cumulative_quantity=total,
            venue_order_id="V1",
            at=at(draw(st.integers(min_value=0, max_value=3)) * 50),
        )
        for number, (trade, total) in enumerate(zip(made, totals, strict=True))
    ]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    fills = draw(fills_of_a_venue())
    busted = draw(st.lists(st.sampled_from(fills), max_size=2, unique_by=lambda fill: fill.venue_execution_id))
    busts = [ExecutionBusted(venue_execution_id=fill.venue_execution_id, at=at(500)) for fill in busted]
    operators: list[OperatorReport] = []
    for number, fill in enumerate(draw(st.lists(st.sampled_from(fills), max_size=4))):
        booked = ExecutionBooked(
            booking_id=UUID(int=1000 + number),
            venue_execution_id=draw(st.sampled_from([None, fill.venue_execution_id])),
            trade=fill.trade,
            at=fill.at + draw(st.sampled_from([-BOOKED_FILL_WITHIN, timedelta(0), timedelta(seconds=7)])),
            booked_at=at(900),
        )
        operators.append(booked)
        if draw(st.booleans()):
            operators.append(OperatorBusted(venue_execution_id=booked.name, at=at(901)))
    # An operator may have busted before what the venue busts, after a call.
    operators += [OperatorBusted(venue_execution_id=bust.venue_execution_id, at=at(902)) for bust in busts]
    shuffled = draw(st.permutations([*fills, *busts, *operators]))
    cuts = draw(st.lists(st.booleans(), min_size=len(shuffled), max_size=len(shuffled)))
    batches: list[list[Report]] = [[]]
    for report, cut in zip(shuffled, cuts, strict=True):
        batches[-1].append(report)
        if cut:
            batches.append([])
    return Story(fills=fills, busts=busts, interleaved=batches)


class Ledger:
    """An order with its executions, which checks every step."""

    def __init__(self) -> None:
        self.order: Order = an_order(quantity=QUANTITY)
        self.executions: dict[str, Execution] = {}
        self.kinds: list[ChangeKind] = []

    def apply(self, batch: Sequence[Report]) -> None:
        """Apply one batch, as it is decided on what is stored."""
        ids = CountingIds(len(self.executions))
        applied = apply_reports(self.order, batch, known=self.executions.values(), now=at(99), new_id=ids)
        before = self.order
        for change in applied.changes:
            assert change.order.version == before.version + 1
            lowers = PROGRESS[change.order.status] < PROGRESS[before.status]
            steps = [STEPS_BACK.get((status, change.kind), frozenset()) for status in (None, before.status)]
            assert not lowers or any(change.order.status in step for step in steps)
            self.kinds.append(change.kind)
            before = change.order
        self.order = applied.order
        self.executions |= {one.venue_execution_id: one for one in applied.executions}
        counted = sum((one.trade.quantity for one in self.executions.values()), ZERO)
        assert self.order.facts.filled_quantity == counted


def venues_sums(story: Story) -> tuple[Decimal, Decimal]:
    """Return quantity and notional as the venue counts them."""
    busted = {bust.venue_execution_id for bust in story.busts}
    standing = [fill.trade for fill in story.fills if fill.venue_execution_id not in busted]
    notional = sum((EXACT.multiply(trade.quantity, trade.price) for trade in standing), ZERO)
    return sum((trade.quantity for trade in standing), ZERO), notional


@settings(max_examples=150, deadline=None)
@given(stories())
def test_once_the_venue_has_listed_everything_the_sums_are_the_venues_for_any_bookings(story: Story) -> None:
    ledger = Ledger()

    for batch in story.interleaved:
        ledger.apply(batch)

    facts = ledger.order.facts
    assert (facts.filled_quantity, facts.notional) == venues_sums(story)
    assert not any(one.is_open_booking for one in ledger.executions.values())
    version = ledger.order.version
    ledger.apply([*story.fills, *story.busts])
    assert (ledger.order.facts, ledger.order.version) == (facts, version)


@settings(max_examples=100, deadline=None)
@given(stories(), st.sampled_from(EndedAs), st.integers(min_value=0, max_value=6))
def test_an_end_by_an_operator_holds_until_the_venue_shows_the_order_again(
    story: Story, ended_as: EndedAs, place: int
) -> None:
    ledger = Ledger()
    ended = OperatorEnded(ended_as=ended_as, reason=BY_STATEMENT, at=at(600))
    batches = [*story.interleaved[:place], [ended]]
    for batch in batches:
        ledger.apply(batch)
    assert ledger.order.status in FINAL_STATUSES

    for batch in story.interleaved[place:]:
        ledger.apply(batch)
    ledger.apply([OrderShownOpen(at=at(599))])
    held = ledger.order
    ledger.apply([OrderShownOpen(at=at(601))])

    if held.facts.operator_end_in_force is not None:
        assert held.status in FINAL_STATUSES
        assert ledger.kinds[-1] is ChangeKind.REVIVED
    assert ledger.order.status not in FINAL_STATUSES
    ledger.apply([replace(ended, at=at(700))])
    assert ledger.order.status in FINAL_STATUSES
