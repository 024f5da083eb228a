"""The worker applies operators' requests: it looks up the order first, makes one change of each, and applies none
twice.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.model.operator_actions import OperatorAction
from domain.model.order import End, OrderStatus, VenueCount, disagrees
from domain.model.reports import OrderReplaced
from domain.model.resolutions import Adopt, AskVenue, Book, Bust, EndAs, Reread, Resolution, ResolveAction
from domain.model.restatement import Restatement
from domain.model.values import Side
from domain.ports.venue import ExternalOrder, UnreadableOrder, VenueOrder, VenueReport
from domain.ports.venue_outcomes import OutcomeUnknown
from domain.services.venue_answers import read_answer
from tests.support.examples import ORDER_ID, accepted, at, busted, ended, filled, name_of, restated
from tests.support.memory_gateway import SECOND, Desk
from tests.support.resolving import a_booking, asked

NEVER = timedelta(0)


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with one order of 10 at the venue."""
    desk = Desk()
    await desk.store()
    await desk.attempt()
    desk.publisher.commits.clear()
    return desk


async def resolve(desk: Desk, action: ResolveAction, *, request: str | None = None) -> Resolution:
    """Store a request, apply it by a worker, and return it."""
    new = await desk.orders.resolutions.add(asked(ORDER_ID, action, request=request))
    await desk.resolving.work()
    return await desk.orders.resolutions.find(new.id)


def forget(desk: Desk) -> VenueOrder:
    """Make the venue forget the order; return it."""
    return desk.venue.orders.pop(name_of(ORDER_ID))


def trail(desk: Desk) -> list[OperatorAction]:
    return desk.orders.actions.actions


async def test_an_end_is_one_change_and_one_action_with_what_the_venue_answered(desk: Desk) -> None:
    forget(desk)
    version = desk.order().version

    done = await resolve(desk, EndAs(status=OrderStatus.CANCELED))

    order = desk.order()
    assert (done.refusal, order.status, order.version) == (None, OrderStatus.CANCELED, version + 1)
    assert desk.kinds() == ["RESOLVED"]
    (action,) = trail(desk)
    assert json.loads(action.before or "") == {"status": "PLACED", "version": version}
    assert json.loads(action.after or "") == {"status": "CANCELED", "venue": "NOT_FOUND", "version": version + 1}
    # Why the operator did it is not the account's business.
    assert order.reason is not None
    assert "a statement" not in order.reason.message


async def test_an_ended_order_is_live_again_when_the_venue_lists_it_open(desk: Desk) -> None:
    found = forget(desk)
    await resolve(desk, EndAs(status=OrderStatus.FAILED))
    desk.clock.advance(SECOND)
    desk.venue.orders[name_of(ORDER_ID)] = found

    await desk.reconciliation.open_orders.compare(silent_for=NEVER)

    assert desk.order().status is OrderStatus.PLACED
    assert desk.kinds() == ["RESOLVED", "REVIVED"]


async def test_the_venues_own_end_counts_before_an_operators(desk: Desk) -> None:
    forget(desk)
    await resolve(desk, EndAs(status=OrderStatus.CANCELED))

    await desk.report(ended(End.EXPIRED))

    assert desk.order().status is OrderStatus.EXPIRED


async def test_an_end_by_hand_ends_submitting_an_order_in_doubt() -> None:
    doubtful = Desk()
    await doubtful.store()
    doubtful.venue.will_answer(OutcomeUnknown(error="cut"))
    await doubtful.attempt()
    assert doubtful.order().status is OrderStatus.IN_DOUBT

    await resolve(doubtful, EndAs(status=OrderStatus.FAILED))
    sent = await doubtful.attempt(after=3600 * SECOND)

    assert (sent, doubtful.order().status, doubtful.row().submit_due_at) == (0, OrderStatus.FAILED, None)


async def test_after_a_split_as_much_can_be_booked_as_is_ordered_now(desk: Desk) -> None:
    await desk.report(restated("40"))

    done = await resolve(desk, a_booking("40"))
    more = await resolve(desk, a_booking("1", second=400))

    assert done.refusal is None
    assert desk.order().status is OrderStatus.FILLED
    assert more.refusal is not None
    assert "41 of 40" in more.refusal.message


@pytest.mark.parametrize("counted_of_first", ["0", "4"])
async def test_a_booking_of_a_replaced_order_is_of_the_venue_order_that_lacks_it(
    desk: Desk, counted_of_first: str
) -> None:
    of_first, of_second = Decimal(counted_of_first), 10 - Decimal(counted_of_first)
    terms = Restatement(at=at(3), quantity=of_second, symbol="AAPL", limit_price=None)
    await desk.report(
        ended(End.REPLACED, count=VenueCount(at=at(3), quantity=of_first)),
        OrderReplaced(venue_order_id="V2", replaces="V1", at=at(3), restatement=terms),
    )
    forget(desk)

    if of_first:
        await resolve(desk, a_booking(counted_of_first))
    done = await resolve(desk, a_booking(str(of_second), second=400))

    assert done.refusal is None
    assert desk.order().status is OrderStatus.FILLED
    assert desk.order().quantity == 10
    assert not disagrees(desk.order().whole)


@pytest.mark.parametrize("is_named", [True, False])
async def test_the_stream_and_a_catch_up_list_a_booked_execution_and_it_counts_once(desk: Desk, is_named: bool) -> None:
    stated = "20261120143100000::E1" if is_named else None
    await resolve(desk, a_booking("4", name=stated))

    fill = filled("4", cumulative="4", venue_order_id="V1")
    await desk.report(fill)
    desk.venue.fill_pages = [[VenueReport(venue_client_order_id=None, venue_order_id="V1", reports=(fill,), at=at(2))]]
    await desk.reconciliation.catch_up(cause="connected")
    await desk.report(filled("6", name="E2", cumulative="10"))

    assert desk.order().facts.filled_quantity == 10
    assert desk.order().status is OrderStatus.FILLED
    assert desk.kinds() == ["RESOLVED", "CORRECTED", "FILL"]


async def test_a_busted_booking_yields_to_the_fill_that_the_venue_lists(desk: Desk) -> None:
    booked = await resolve(desk, a_booking("4"))
    await resolve(desk, Bust(execution_id=booked.id))
    assert desk.order().facts.filled_quantity == 0

    await desk.report(filled("4", cumulative="4"))

    assert desk.order().facts.filled_quantity == 4
    assert desk.kinds() == ["RESOLVED", "RESOLVED", "FILL"]


async def test_an_order_in_doubt_is_adopted_with_its_fills() -> None:
    doubtful = Desk()
    await doubtful.store()
    doubtful.venue.will_answer(OutcomeUnknown(error="cut"), keeps=True)
    await doubtful.attempt()
    kept = doubtful.venue.orders[name_of(ORDER_ID)]
    doubtful.venue.orders[name_of(ORDER_ID)] = replace(kept, filled_quantity=filled("4").trade.quantity)
    name = kept.venue_order_id
    fill = filled("4", cumulative="4", venue_order_id=name)
    doubtful.venue.fill_pages = [
        [VenueReport(venue_client_order_id=None, venue_order_id=name, reports=(fill,), at=at(2))]
    ]
    doubtful.publisher.commits.clear()

    done = await resolve(doubtful, Adopt(venue_order_id=name))

    assert done.refusal is None
    assert doubtful.kinds() == ["RESOLVED", "FILL"]
    assert doubtful.order().facts.venue_order_id == name
    assert doubtful.order().facts.filled_quantity == 4


@pytest.mark.parametrize("submitted_at", [at(0), datetime.min.replace(tzinfo=UTC)])
async def test_a_reread_reads_the_fills_of_its_order_alone_whenever_that_was_submitted(
    desk: Desk, submitted_at: datetime
) -> None:
    desk.venue.fill(name_of(ORDER_ID), quantity=Decimal(4), price=Decimal("12.5"))
    shown = desk.venue.orders[name_of(ORDER_ID)]
    desk.venue.orders[name_of(ORDER_ID)] = replace(shown, submitted_at=submitted_at)

    done = await resolve(desk, Reread())

    assert done.refusal is None
    assert desk.order().facts.filled_quantity == 4
    assert (desk.venue.asked[-1], desk.venue.fills_since) == ("fills of V1", [])


async def test_another_order_of_the_venue_is_not_adopted_and_nothing_forces_it(desk: Desk) -> None:
    ours = desk.venue.orders[name_of(ORDER_ID)]
    assert ours.terms is not None
    other = replace(ours, venue_order_id="V-other", venue_client_order_id="another-name")
    sold = replace(ours, venue_order_id="V-sold", terms=replace(ours.terms, side=Side.SELL))
    desk.venue.orders |= {"another-name": other, "sold": sold}
    desk.venue.external.append(ExternalOrder(venue_order_id="V-external"))
    desk.venue.unreadable.append(
        UnreadableOrder(venue_client_order_id="x", venue_order_id="V-unreadable", error="no status")
    )
    before = desk.order()

    refusals = [
        (await resolve(desk, Adopt(venue_order_id=name))).refusal
        for name in ("V-none", "V-other", "V-sold", "V-external", "V-unreadable")
    ]

    words = ("has no order", "another-name", "SELL AAPL", "not placed by this installation", "no status")
    for refusal, expected in zip(refusals, words, strict=True):
        assert refusal is not None
        assert expected in refusal.message
        assert refusal.field == "action.adoptVenueOrderId"
    assert (desk.order(), trail(desk)) == (before, [])


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (EndAs(status=OrderStatus.CANCELED), "shows the order open"),
        (EndAs(status=OrderStatus.FILLED), "4 of 10 are recorded"),
        (EndAs(status=OrderStatus.PLACED), "No order ends as PLACED"),
        (EndAs(status=OrderStatus.REJECTED), "4 of it are filled"),
        (a_booking("7", second=400), "11 of 10"),
        (a_booking("4"), "has reported an execution that this may be"),
        (a_booking("4", name="E1", second=400), "has reported an execution that this may be"),
        (Bust(execution_id=ORDER_ID), "no such execution"),
    ],
)
async def test_what_contradicts_the_venue_or_the_order_is_refused(
    desk: Desk, action: ResolveAction, words: str
) -> None:
    await desk.report(filled("4", cumulative="4"))
    before = desk.order()

    done = await resolve(desk, action)

    assert done.refusal is not None
    assert words in done.refusal.message
    assert (desk.order(), trail(desk)) == (before, [])


async def test_an_order_that_was_never_sent_is_canceled_and_not_ended() -> None:
    desk = Desk()
    await desk.store()

    for action in (EndAs(status=OrderStatus.FAILED), a_booking("4")):
        done = await resolve(desk, action)
        assert done.refusal is not None
        assert "never sent" in done.refusal.message
    assert desk.order().status is OrderStatus.PENDING


async def test_an_order_that_the_venue_calls_filled_and_took_executions_back_of_can_be_ended(desk: Desk) -> None:
    desk.venue.fill(name_of(ORDER_ID), quantity=Decimal(10), price=Decimal("12.5"))
    await desk.reconciliation.catch_up(cause="connect")
    taken_back = VenueCount(at=at(9), quantity=Decimal(0))
    await desk.report(replace(busted("E1"), at=at(9), count=taken_back))
    shown = desk.venue.orders[name_of(ORDER_ID)]
    desk.venue.orders[name_of(ORDER_ID)] = replace(shown, filled_quantity=Decimal(0))
    reconciliation = desk.reconciliation
    for _ in range(3):
        await reconciliation.compare_open_orders(silent_for=NEVER)
        desk.clock.advance(60 * SECOND)
    [said] = desk.telemetry.said("order_taken_back")
    assert (said["order_id"], said["recorded"]) == (str(ORDER_ID), "0")

    done = await resolve(desk, EndAs(status=OrderStatus.CANCELED))
    desk.clock.advance(60 * SECOND)
    await desk.reconciliation.compare_open_orders(silent_for=NEVER)

    assert done.refusal is None
    assert desk.order().status is OrderStatus.CANCELED
    assert not await desk.orders.open_at_venue(silent_for=NEVER, limit=9)


async def test_while_the_venue_does_not_answer_a_reread_is_refused_and_an_end_is_taken(desk: Desk) -> None:
    desk.venue.is_reachable = False

    reread = await resolve(desk, Reread())
    answer = await resolve(desk, AskVenue())
    end = await resolve(desk, EndAs(status=OrderStatus.EXPIRED))

    assert reread.refusal is not None
    assert read_answer(answer.answer or "").outcome == "NO_ANSWER"
    assert end.refusal is None
    assert json.loads(trail(desk)[0].after or "")["venue"] == "NO_ANSWER"


async def test_a_change_in_between_is_decided_again_and_another_workers_end_is_not_repeated(desk: Desk) -> None:
    async def meanwhile() -> None:
        await desk.report(filled("4", cumulative="4"))

    desk.orders.interruptions.append(meanwhile)
    done = await resolve(desk, Book(venue_execution_id="E9", trade=a_booking("6").trade, executed_at=at(3)))
    forgotten = await desk.orders.resolutions.add(asked(ORDER_ID, Bust(execution_id=done.id)))

    async def another_worker() -> None:
        await desk.resolving.work()

    desk.orders.interruptions.append(another_worker)
    (taken,) = await desk.orders.resolutions.take(limit=1, lease=NEVER)
    await desk.resolving._apply_or_log(taken)  # noqa: SLF001 - a worker whose lease ended while it wrote

    assert taken.id == forgotten.id
    assert desk.order().facts.filled_quantity == 4
    assert [action.action for action in trail(desk)] == ["EXECUTION_BOOKED", "EXECUTION_BUSTED"]
    assert desk.kinds() == ["FILL", "RESOLVED", "RESOLVED"]


async def test_what_waited_too_long_for_a_worker_is_refused(desk: Desk) -> None:
    forget(desk)
    new = await desk.orders.resolutions.add(asked(ORDER_ID, EndAs(status=OrderStatus.CANCELED)))
    desk.clock.advance(timedelta(minutes=10, seconds=1))

    await desk.resolving.work()

    refusal = (await desk.orders.resolutions.find(new.id)).refusal
    assert refusal is not None
    assert "No worker took it in time" in refusal.message
    assert desk.order().status is OrderStatus.PLACED


async def test_a_question_answers_with_what_was_understood_and_changes_nothing(desk: Desk) -> None:
    before = desk.order()

    answer = read_answer((await resolve(desk, AskVenue())).answer or "")

    assert (answer.outcome, answer.error) == ("FOUND", None)
    shown = json.loads(answer.order or "")
    assert (shown["isOpen"], shown["symbol"], shown["side"], shown["quantity"]) == (True, "AAPL", "BUY", "10")
    assert (desk.order(), trail(desk), desk.kinds()) == (before, [], [])
    assert accepted().rank.name in shown["says"]
