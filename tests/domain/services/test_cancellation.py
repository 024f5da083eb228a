"""Canceling: immediate when nothing was sent, otherwise only by the venue, and never lost in between."""

import operator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from domain.model.accounts import VisibleAccounts
from domain.model.changes import ChangeKind
from domain.model.errors import NotCancelableError, OrderNotFoundError, UnavailableError, VenueBusyError
from domain.model.order import CANCELED_AS_ASKED, CANCELED_BEFORE_SENDING, End, OrderStatus
from domain.model.reports import OrderEnded
from domain.ports.telemetry import Metric
from domain.ports.venue_outcomes import (
    CancelNotPossible,
    CancelPostponed,
    CancelTaken,
    CancelUnknown,
    NotExecuted,
    OutcomeUnknown,
    RateLimited,
    SubmissionOutcome,
    Unauthorized,
)
from domain.services.version_conflicts import VERSION_CONFLICTS_MAX
from tests.support.examples import ORDER_ID, VENUE_SAYS, accepted, busted, ended, filled, name_of
from tests.support.memory_gateway import SECOND, Desk

OTHER = UUID(int=100)


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with one stored order."""
    desk = Desk()
    await desk.store()
    return desk


@pytest.fixture
async def placed(desk: Desk) -> Desk:
    """Return a desk with one order at the venue."""
    await desk.attempt()
    desk.venue.asked.clear()
    return desk


async def ask(desk: Desk) -> OrderStatus:
    return (await desk.cancellation.request(ORDER_ID, account_ids=("alice",))).status


# --- The request ------------------------------------------------------------------------------------------------


async def test_an_order_that_was_never_sent_is_canceled_immediately(desk: Desk) -> None:
    assert await ask(desk) is OrderStatus.CANCELED

    assert desk.order().reason == CANCELED_BEFORE_SENDING
    assert desk.kinds() == ["CANCELED"]
    assert await desk.attempt(after=60 * SECOND) == 0
    assert desk.venue.asked == []


async def test_an_order_whose_attempts_were_all_not_sent_is_canceled_immediately(desk: Desk) -> None:
    desk.venue.will_answer(NotExecuted(error="refused"))
    await desk.attempt()

    assert await ask(desk) is OrderStatus.CANCELED


async def test_a_request_for_an_order_with_constant_concurrent_changes_must_be_repeated(placed: Desk) -> None:
    numbers = iter(range(VERSION_CONFLICTS_MAX))

    async def fill_a_little() -> None:
        await placed.report(filled("0.1", name=f"E{next(numbers)}"))
        if operator.length_hint(numbers):
            placed.orders.interruptions.append(fill_a_little)

    placed.orders.interruptions.append(fill_a_little)

    with pytest.raises(UnavailableError) as refusal:
        await ask(placed)
    assert "again" in refusal.value.message

    assert await ask(placed) is OrderStatus.PENDING_CANCEL


async def test_an_order_at_the_venue_waits_for_the_venue(placed: Desk) -> None:
    assert await ask(placed) is OrderStatus.PENDING_CANCEL

    assert placed.row().cancel_due_at == placed.clock()
    assert (ORDER_ID, timedelta(0)) in placed.wake_ups.cancels
    assert placed.kinds()[-1] == "CANCEL_REQUESTED"


async def test_an_order_in_doubt_is_not_canceled_here(desk: Desk) -> None:
    desk.venue.will_answer(OutcomeUnknown(error="lost"))
    await desk.attempt()

    assert await ask(desk) is OrderStatus.PENDING_CANCEL


async def test_an_order_whose_attempt_crashed_may_have_been_sent(desk: Desk) -> None:
    await desk.orders.claim([ORDER_ID], lease=SECOND)
    desk.clock.advance(60 * SECOND)

    assert await ask(desk) is OrderStatus.PENDING_CANCEL


async def test_an_order_that_an_attempt_before_the_last_may_have_sent_is_not_canceled_here(desk: Desk) -> None:
    await desk.orders.claim([ORDER_ID], lease=SECOND)
    desk.venue.will_answer(RateLimited(retry_after=SECOND))
    await desk.attempt(after=60 * SECOND)

    assert await ask(desk) is OrderStatus.PENDING_CANCEL


@pytest.mark.parametrize(
    "answer", [OutcomeUnknown(error="HTTP 429", retry_after=SECOND), Unauthorized(error="HTTP 401")]
)
async def test_an_order_whose_answer_a_gateway_may_have_sent_is_not_canceled_without_the_venue(
    desk: Desk, answer: SubmissionOutcome
) -> None:
    desk.venue.will_answer(answer, keeps=True)
    await desk.attempt()

    assert await ask(desk) is OrderStatus.PENDING_CANCEL


async def test_a_claim_in_the_very_moment_of_the_cancel_wins(desk: Desk) -> None:
    async def claim() -> None:
        await desk.orders.claim([ORDER_ID], lease=30 * SECOND)

    desk.orders.interruptions.append(claim)

    assert await ask(desk) is OrderStatus.PENDING_CANCEL


async def test_a_cancel_requested_while_an_attempt_is_running_reaches_the_venue_after_it(desk: Desk) -> None:
    async def ask_meanwhile() -> None:
        await ask(desk)
        await desk.delivery.deliver([ORDER_ID])

    desk.venue.during_submit = ask_meanwhile
    await desk.attempt()
    desk.clock.advance(2 * SECOND)

    assert desk.order().status is OrderStatus.PENDING_CANCEL
    assert await desk.delivery.deliver([ORDER_ID]) == 1
    assert desk.venue.asked == ["submit", "cancel V1"]


async def test_a_repeat_while_open_changes_nothing(placed: Desk) -> None:
    await ask(placed)
    version = placed.order().version

    assert await ask(placed) is OrderStatus.PENDING_CANCEL
    assert placed.order().version == version


async def test_a_final_order_cannot_be_canceled_and_is_shown(placed: Desk) -> None:
    await placed.report(filled("10"))

    with pytest.raises(NotCancelableError) as refusal:
        await ask(placed)

    assert refusal.value.order.status is OrderStatus.FILLED


async def test_an_order_that_ends_in_the_very_moment_of_the_cancel_cannot_be_canceled(placed: Desk) -> None:
    async def fill() -> None:
        await placed.report(filled("10"))

    placed.orders.interruptions.append(fill)

    with pytest.raises(NotCancelableError):
        await ask(placed)


@pytest.mark.parametrize(
    ("order_id", "account_ids"), [(OTHER, ("alice",)), (ORDER_ID, ("bob", "carol")), (ORDER_ID, ()), (OTHER, None)]
)
async def test_an_order_of_another_account_is_answered_like_none(
    desk: Desk, order_id: UUID, account_ids: VisibleAccounts
) -> None:
    with pytest.raises(OrderNotFoundError):
        await desk.cancellation.request(order_id, account_ids=account_ids)


async def test_an_operator_may_cancel_for_every_account(desk: Desk) -> None:
    order = await desk.cancellation.request(ORDER_ID, account_ids=None)

    assert order.status is OrderStatus.CANCELED


# --- The delivery -----------------------------------------------------------------------------------------------


async def test_a_taken_request_leaves_the_order_pending_until_the_venue_reports_it(placed: Desk) -> None:
    await ask(placed)

    assert await placed.delivery.deliver([ORDER_ID]) == 1

    assert placed.venue.asked == ["cancel V1"]
    assert placed.order().status is OrderStatus.PENDING_CANCEL
    assert placed.order().facts.cancel.sent == 1
    assert placed.row().cancel_due_at == placed.clock() + 10 * SECOND
    assert placed.telemetry.counted(Metric.CANCEL_ATTEMPTS, outcome=CancelTaken.__name__) == 1

    await placed.report(ended(End.CANCELED))

    assert placed.order().status is OrderStatus.CANCELED
    assert placed.order().reason == CANCELED_AS_ASKED
    assert placed.row().cancel_due_at is None


async def test_a_request_is_delivered_once_for_any_number_of_wake_ups(placed: Desk) -> None:
    await ask(placed)

    made = [await placed.delivery.deliver([ORDER_ID]), await placed.delivery.sweep(limit=9, overdue_by=timedelta(0))]

    assert made == [1, 0]


async def test_an_unanswered_request_is_sent_again(placed: Desk) -> None:
    placed.venue.cancel_answers.append(CancelUnknown(error="timed out"))
    await ask(placed)
    await placed.delivery.deliver([ORDER_ID])
    assert placed.wake_ups.cancels[-1] == (ORDER_ID, 2 * SECOND)
    placed.clock.advance(2 * SECOND)

    await placed.delivery.deliver([ORDER_ID])

    assert placed.venue.asked == ["cancel V1", "cancel V1"]
    assert placed.order().facts.cancel.sent == 1


async def test_a_taken_request_without_effect_is_looked_up_and_sent_again(placed: Desk) -> None:
    await ask(placed)
    await placed.delivery.deliver([ORDER_ID])
    placed.clock.advance(10 * SECOND)

    await placed.delivery.sweep(limit=9, overdue_by=timedelta(0))

    assert placed.venue.asked == ["cancel V1", "find", "cancel V1"]


async def test_an_end_that_the_stream_lost_is_found_by_the_look_up(placed: Desk) -> None:
    await ask(placed)
    await placed.delivery.deliver([ORDER_ID])
    close_at_venue(placed, ended(End.CANCELED))
    placed.clock.advance(10 * SECOND)

    await placed.delivery.deliver([ORDER_ID])

    assert placed.order().status is OrderStatus.CANCELED
    assert placed.venue.asked == ["cancel V1", "find"]


async def test_a_refused_request_reopens_the_order(placed: Desk) -> None:
    placed.venue.cancel_answers.append(CancelNotPossible(reason=VENUE_SAYS))
    await ask(placed)

    await placed.delivery.deliver([ORDER_ID])

    assert placed.order().status is OrderStatus.PLACED
    assert placed.kinds()[-1] == "CANCEL_REFUSED"
    assert placed.row().cancel_due_at is None
    assert await ask(placed) is OrderStatus.PENDING_CANCEL


async def test_a_request_refused_because_the_order_ended_ends_it_here_too(placed: Desk) -> None:
    placed.venue.cancel_answers.append(CancelNotPossible(reason=VENUE_SAYS))
    close_at_venue(placed, ended(End.EXPIRED))
    await ask(placed)

    await placed.delivery.deliver([ORDER_ID])

    assert placed.order().status is OrderStatus.EXPIRED
    assert "EXPIRED" in placed.kinds()


async def test_a_refusal_whose_look_up_fails_proves_nothing_yet(placed: Desk) -> None:
    placed.venue.cancel_answers.append(CancelNotPossible(reason=VENUE_SAYS))
    placed.venue.is_reachable = False
    await ask(placed)

    await placed.delivery.deliver([ORDER_ID])

    assert placed.order().status is OrderStatus.PENDING_CANCEL
    assert placed.wake_ups.cancels[-1] == (ORDER_ID, 2 * SECOND)


async def test_a_fill_beats_the_cancel_it_crosses(placed: Desk) -> None:
    await ask(placed)
    await placed.delivery.deliver([ORDER_ID])

    await placed.report(filled("10"))

    assert placed.order().status is OrderStatus.FILLED
    assert placed.row().cancel_due_at is None


async def test_a_request_waits_while_the_order_is_not_at_the_venue(desk: Desk) -> None:
    desk.venue.will_answer(OutcomeUnknown(error="lost"))
    await desk.attempt()
    await ask(desk)

    await desk.delivery.deliver([ORDER_ID])

    assert not [asked for asked in desk.venue.asked if asked.startswith("cancel")]
    assert desk.row().cancel_due_at == desk.clock() + 2 * SECOND


async def test_a_request_for_an_order_that_stays_in_doubt_is_looked_at_ever_less_often_and_sent_once_it_is_placed(
    desk: Desk,
) -> None:
    desk.venue.will_answer(OutcomeUnknown(error="lost"))
    await desk.attempt()
    await ask(desk)
    looked_at = 0
    for _ in range(1500):
        looked_at += await desk.delivery.deliver([ORDER_ID])
        desk.clock.advance(SECOND)

    await desk.report(accepted())

    assert looked_at == 13
    assert desk.row().cancel_due_at == desk.clock()
    assert desk.wake_ups.cancels[-1] == (ORDER_ID, timedelta(0))


async def test_a_fill_recorded_while_the_request_was_sent_is_not_overwritten(placed: Desk) -> None:
    async def fill() -> None:
        await placed.report(filled("4"))

    await ask(placed)
    placed.orders.interruptions.append(fill)

    await placed.delivery.deliver([ORDER_ID])

    assert placed.order().facts.filled_quantity == 4
    assert placed.order().facts.cancel.sent == 1
    assert placed.kinds()[-1] == ChangeKind.FILL


async def test_one_orders_bug_does_not_hold_up_the_others_requests(placed: Desk) -> None:
    await placed.store(OTHER, client_order_id="other")
    await placed.submission.submit([OTHER])
    await placed.cancellation.request(OTHER, account_ids=("alice",))
    await ask(placed)
    placed.venue.cancel_answers.append("not an outcome")  # type: ignore[arg-type]  # A bug of the adapter.

    await placed.delivery.deliver([ORDER_ID, OTHER])

    assert placed.telemetry.said("cancel_not_recorded")
    assert placed.order(OTHER).facts.cancel.sent == 1


def close_at_venue(desk: Desk, end: OrderEnded) -> None:
    """End the order in the venue's book, without a report."""
    order = desk.venue.orders[name_of(ORDER_ID)]
    desk.venue.orders[name_of(ORDER_ID)] = replace(order, is_open=False, reports=[*order.reports, end])


async def test_an_order_that_cannot_have_been_sent_is_canceled_without_a_request_to_the_venue(desk: Desk) -> None:
    await desk.store()
    desk.venue.will_answer(NotExecuted(error="refused"))
    desk.venue.during_submit = lambda: desk.cancellation.request(ORDER_ID, account_ids=("alice",))
    await desk.attempt()
    desk.venue.is_reachable = False

    await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.CANCELED


async def test_a_request_that_was_one_too_many_is_sent_again_when_there_is_room(placed: Desk) -> None:
    await placed.cancellation.request(ORDER_ID, account_ids=("alice",))
    placed.venue.cancel_answers.append(CancelPostponed(error="HTTP 429", retry_after=9 * SECOND))
    placed.wake_ups.cancels.clear()

    await placed.delivery.deliver([ORDER_ID])
    asked = list(placed.wake_ups.cancels)
    placed.clock.advance(9 * SECOND)
    again = await placed.delivery.deliver([ORDER_ID])

    assert asked == [(ORDER_ID, 9 * SECOND)]
    assert again == 1
    assert placed.telemetry.counted(Metric.CANCEL_ATTEMPTS, outcome="CancelPostponed") == 1


async def test_a_request_that_is_refused_because_the_order_is_over_leaves_no_refusal_in_its_history(
    placed: Desk,
) -> None:
    await placed.cancellation.request(ORDER_ID, account_ids=("alice",))
    placed.venue.cancel_answers.append(CancelNotPossible(reason=VENUE_SAYS))
    order = placed.venue.orders[name_of(ORDER_ID)]
    placed.venue.orders[name_of(ORDER_ID)] = replace(order, is_open=False, reports=[*order.reports, ended(End.EXPIRED)])

    await placed.delivery.deliver([ORDER_ID])

    assert placed.order().status is OrderStatus.EXPIRED
    assert placed.kinds()[-1] == "EXPIRED"


async def test_a_cancel_that_was_confirmed_before_sending_is_sent_when_the_order_turns_out_to_be_live(
    desk: Desk,
) -> None:
    desk.venue.will_answer(RateLimited(retry_after=SECOND), keeps=True)
    await desk.attempt()
    assert await ask(desk) is OrderStatus.CANCELED
    assert desk.order().reason == CANCELED_BEFORE_SENDING
    desk.clock.advance(5 * SECOND)

    await desk.reconciliation.compare_open_orders(silent_for=timedelta(0))
    await desk.delivery.deliver([ORDER_ID])

    assert desk.order().status is OrderStatus.PENDING_CANCEL
    assert desk.kinds() == ["CANCELED", "REVIVED"]
    assert "cancel V1" in desk.venue.asked


async def requests_sent(desk: Desk, *, within_seconds: int) -> list[str]:
    """Advance the time second by second; return each request with its second, except those of the first delivery."""
    begun_at, requests = desk.clock(), []
    for _ in range(within_seconds):
        desk.venue.asked.clear()
        await desk.delivery.deliver([ORDER_ID])
        requests += [f"{(desk.clock() - begun_at) // SECOND} {one.split()[0]}" for one in desk.venue.asked]
        desk.clock.advance(SECOND)
    return requests


async def test_a_request_that_is_not_answered_is_sent_at_pauses_that_double_up_to_a_quarter_of_a_minute(
    placed: Desk,
) -> None:
    await ask(placed)
    placed.venue.is_reachable = False

    sent = await requests_sent(placed, within_seconds=200)

    assert sent == [f"{second} cancel" for second in (0, 2, 4, 8, 16, *range(31, 200, 15))]


async def test_the_cancel_of_an_order_that_the_venue_forgot_is_sent_at_pauses_that_double_up_to_minutes(
    placed: Desk,
) -> None:
    await ask(placed)
    del placed.venue.orders[name_of(ORDER_ID)]

    sent = await requests_sent(placed, within_seconds=1500)

    assert [one for one in sent if "cancel" in one] == [
        f"{second} cancel" for second in (0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 812, 1112, 1412)
    ]
    assert placed.order().status is OrderStatus.PENDING_CANCEL


async def test_a_cancel_that_the_venue_leaves_pending_is_sent_once_and_looked_at_ever_less_often(placed: Desk) -> None:
    placed.venue.leaves_cancels_pending = True
    await ask(placed)

    sent = await requests_sent(placed, within_seconds=1500)

    assert sent == ["0 cancel", *(f"{second} find" for second in (10, 20, 40, 80, 160, 320, 620, 920, 1220))]
    assert placed.order().status is OrderStatus.PENDING_CANCEL


async def test_a_cancel_that_was_taken_and_of_which_the_venue_shows_nothing_is_sent_again_ever_less_often(
    placed: Desk,
) -> None:
    await ask(placed)

    sent = await requests_sent(placed, within_seconds=1500)

    assert [one for one in sent if "cancel" in one] == [
        f"{second} cancel" for second in (0, 10, 20, 40, 80, 160, 320, 620, 920, 1220)
    ]


async def test_a_cancel_that_is_taken_after_a_long_outage_is_looked_at_soon(placed: Desk) -> None:
    await ask(placed)
    placed.venue.is_reachable = False
    await requests_sent(placed, within_seconds=600)
    placed.venue.is_reachable = True
    placed.clock.advance(15 * SECOND)

    sent = await requests_sent(placed, within_seconds=60)

    assert sent == ["0 cancel", "10 find", "10 cancel"]


async def test_an_order_that_fills_while_its_cancel_is_pending_is_looked_at_soon_again(placed: Desk) -> None:
    placed.venue.leaves_cancels_pending = True
    await ask(placed)
    await requests_sent(placed, within_seconds=1300)
    placed.venue.fill(name_of(ORDER_ID), quantity=Decimal(1), price=Decimal(1))
    await placed.report(filled("1"))
    placed.clock.advance(300 * SECOND)
    await placed.report(filled("1", name="E2"))

    sent = await requests_sent(placed, within_seconds=60)

    assert sent == ["0 find", "10 find", "20 find", "40 find"]


async def test_a_lost_answer_to_a_cancel_that_the_venue_has_is_no_refusal(placed: Desk) -> None:
    placed.venue.leaves_cancels_pending = True
    await ask(placed)
    await placed.venue.cancel("V1")

    await placed.delivery.deliver([ORDER_ID])

    assert placed.order().status is OrderStatus.PENDING_CANCEL
    assert placed.order().facts.cancel.sent == 1
    assert "CANCEL_REFUSED" not in placed.kinds()


async def test_a_look_up_that_the_rate_limit_holds_back_is_no_reason_to_send_the_request_again(placed: Desk) -> None:
    await ask(placed)
    await placed.delivery.deliver([ORDER_ID])
    placed.clock.advance(10 * SECOND)
    placed.venue.look_up_failure = VenueBusyError("the rate limit", retry_after=7 * SECOND)

    await placed.delivery.deliver([ORDER_ID])

    assert placed.venue.asked == ["cancel V1", "find"]
    assert placed.wake_ups.cancels[-1] == (ORDER_ID, 7 * SECOND)


@pytest.mark.parametrize("is_sent", [False, True])
async def test_a_cancel_of_an_order_that_is_filled_and_was_busted_since_is_refused(
    placed: Desk, *, is_sent: bool
) -> None:
    if is_sent:
        await ask(placed)
        await placed.delivery.deliver([ORDER_ID])
    await placed.report(filled("10"), busted())
    call_filled(placed, filled_quantity="0")
    placed.venue.cancel_answers.append(CancelNotPossible(reason=VENUE_SAYS))
    await ask(placed)
    placed.clock.advance(10 * SECOND)

    await placed.delivery.deliver([ORDER_ID])

    assert placed.order().status is OrderStatus.PLACED
    assert placed.kinds()[-1] == "CANCEL_REFUSED"
    assert placed.row().cancel_due_at is None


@pytest.mark.parametrize("filled_quantity", ["10", "4"])
async def test_a_cancel_of_an_order_whose_last_fills_are_not_recorded_yet_is_not_refused(
    placed: Desk, filled_quantity: str
) -> None:
    call_filled(placed, filled_quantity=filled_quantity)
    placed.venue.cancel_answers.append(CancelNotPossible(reason=VENUE_SAYS))
    await ask(placed)

    await placed.delivery.deliver([ORDER_ID])

    assert placed.order().status is OrderStatus.PENDING_CANCEL


def call_filled(desk: Desk, *, filled_quantity: str) -> None:
    """Report the order as filled by the venue, with that count."""
    order = desk.venue.orders[name_of(ORDER_ID)]
    counted = replace(order, is_open=False, filled_quantity=Decimal(filled_quantity))
    desk.venue.orders[name_of(ORDER_ID)] = counted
