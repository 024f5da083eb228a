"""Submitting: the result of each answer of the venue; nothing is sent twice, lost or invented."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

import pytest

from domain.model.changes import RecordedChange
from domain.model.errors import RequestHeldBackError, UnavailableError, VenueNotConnectedError
from domain.model.operator_actions import ActionToStore
from domain.model.order import End, OrderStatus, VenueRank
from domain.model.rate_budget import RequestPriority
from domain.model.reports import Report
from domain.model.values import Reason, ReasonSource
from domain.ports.ingest_state import Fence
from domain.ports.order_store import IMMEDIATE, Claim, OrderWrite, WriteTicket
from domain.ports.rate_limiter import Unlimited
from domain.ports.telemetry import Metric
from domain.ports.trading_control import TradingHalt
from domain.ports.venue_outcomes import (
    AlreadyPlaced,
    EndedAtOnce,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    SubmissionOutcome,
    Unauthorized,
)
from tests.support.examples import (
    ORDER_ID,
    VENUE_REFUSES,
    VENUE_SAYS,
    accepted,
    busted,
    cancel_asked,
    ended,
    filled,
    name_of,
    renamed,
    some_terms,
)
from tests.support.fakes.clock import MIDNIGHT
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.memory_gateway import SECOND, Desk
from tests.support.operators import begin_halt

REFUSED_CONNECTION = NotExecuted(error="connection refused")
LOST_ANSWER = OutcomeUnknown(error="read timed out")


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with one stored order."""
    desk = Desk()
    await desk.store()
    return desk


def reason_of(desk: Desk) -> Reason:
    """Return the order's reason; there must be one."""
    reason = desk.order().reason
    assert reason is not None
    return reason


# --- What each answer leads to ----------------------------------------------------------------------------------


async def test_a_first_attempt_sends_without_a_look_up_and_the_order_is_placed(desk: Desk) -> None:
    assert await desk.attempt() == 1

    assert desk.venue.asked == ["submit"]
    assert desk.order().status is OrderStatus.PLACED
    assert desk.order().facts.venue_order_id == "V1"
    assert desk.row().submit_due_at is None
    assert desk.row().lease_until is None
    assert desk.kinds() == ["PLACED"]


async def test_an_order_that_the_venue_refuses_is_rejected_and_never_sent_again(desk: Desk) -> None:
    desk.venue.will_answer(Rejected(reason=VENUE_SAYS))

    await desk.attempt()

    assert desk.order().status is OrderStatus.REJECTED
    assert desk.order().reason == VENUE_SAYS
    assert await desk.attempt(after=3600 * SECOND) == 0


async def test_what_did_not_reach_the_venue_stays_pending_and_is_tried_again(desk: Desk) -> None:
    desk.venue.will_answer(REFUSED_CONNECTION)

    await desk.attempt()

    assert desk.order().status is OrderStatus.PENDING
    assert desk.order().version == 1
    assert desk.row().attempts == 1
    assert desk.row().last_error == "connection refused"
    assert desk.row().maybe_sent_at is None
    assert desk.wake_ups.placements == [(ORDER_ID, SECOND)]


async def test_a_lost_answer_leaves_the_order_in_doubt(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, keeps=True)

    await desk.attempt()

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert reason_of(desk).source is ReasonSource.SYSTEM
    assert desk.row().maybe_sent_at == desk.clock()
    assert desk.kinds() == ["PLACEMENT_IN_DOUBT"]
    assert desk.wake_ups.placements == [(ORDER_ID, SECOND)]


@pytest.mark.parametrize(
    ("outcome", "wait"),
    [
        (RateLimited(retry_after=17 * SECOND), 17 * SECOND),
        (OutcomeUnknown(error="HTTP 429", retry_after=17 * SECOND), 17 * SECOND),
        (Unauthorized(error="bad key"), 60 * SECOND),
    ],
)
async def test_what_is_not_the_orders_fault_costs_no_attempt(
    desk: Desk, outcome: SubmissionOutcome, wait: timedelta
) -> None:
    desk.venue.will_answer(*[outcome] * 10)

    for _ in range(10):
        await desk.attempt(after=wait)

    assert desk.row().attempts == 0
    assert desk.row().attempt == 10
    in_doubt = isinstance(outcome, OutcomeUnknown)
    assert desk.order().status is (OrderStatus.IN_DOUBT if in_doubt else OrderStatus.PENDING)
    assert set(desk.wake_ups.placements) == {(ORDER_ID, wait)}


async def test_a_connection_that_is_never_made_uses_up_no_attempt(desk: Desk) -> None:
    desk.venue.will_answer(*[NotSent(error="connection refused")] * 10)

    for _ in range(10):
        await desk.attempt(after=60 * SECOND)
    waiting = desk.order()
    await desk.attempt(after=60 * SECOND)

    assert waiting.status is OrderStatus.PENDING
    assert desk.order().status is OrderStatus.PLACED
    assert desk.row().attempts == 1
    assert desk.telemetry.counted(Metric.SUBMISSION_ATTEMPTS, outcome="not_sent") == 10


async def test_a_look_up_that_never_left_uses_up_no_attempt_either(desk: Desk) -> None:
    desk.venue.will_answer(NotSent(error="connection refused"))
    await desk.attempt()
    desk.venue.look_up_failure = VenueNotConnectedError("connection refused")

    for _ in range(10):
        await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.PENDING
    assert desk.row().attempts == 0


@pytest.mark.parametrize("failure", [None, VenueNotConnectedError("connection refused")])
async def test_the_age_limit_ends_an_order_whose_connections_are_never_made(
    failure: VenueNotConnectedError | None,
) -> None:
    desk = Desk(max_age=60 * SECOND)
    await desk.store()
    desk.venue.will_answer(NotSent(error="connection refused"))
    await desk.attempt()
    desk.venue.look_up_failure = failure

    await desk.attempt(after=61 * SECOND)

    assert desk.order().status is OrderStatus.FAILED
    assert reason_of(desk).code == "TOO_OLD"


async def test_a_submission_that_the_rate_limit_holds_back_waits_without_cost(desk: Desk) -> None:
    class Exhausted(Unlimited):
        async def acquire(self, priority: RequestPriority) -> None:
            assert priority is RequestPriority.SUBMIT
            raise RequestHeldBackError("nothing is left", retry_after=17 * SECOND)

    await replace(desk.submission, limiter=Exhausted()).submit([ORDER_ID])

    assert desk.venue.asked == []
    assert desk.row().attempts == 0
    assert desk.order().status is OrderStatus.PENDING
    assert desk.wake_ups.placements == [(ORDER_ID, 18 * SECOND)]
    assert desk.telemetry.counted(Metric.SUBMISSION_ATTEMPTS, outcome="held_back") == 1
    assert (await desk.orders.breaker.state()).held_for == timedelta(0)


async def test_a_look_up_that_the_rate_limit_holds_back_leaves_the_order_in_doubt_and_pauses_no_other(
    desk: Desk,
) -> None:
    desk.venue.will_answer(LOST_ANSWER, keeps=True)
    await desk.attempt()
    desk.venue.look_up_failure = RequestHeldBackError("nothing is left", retry_after=17 * SECOND)

    await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert (await desk.orders.breaker.state()).held_for == timedelta(0)
    desk.venue.look_up_failure = None
    await desk.attempt(after=60 * SECOND)
    assert desk.order().status is OrderStatus.PLACED


async def test_an_order_that_the_venue_has_stays_in_doubt_while_the_rate_limit_leaves_no_look_up(desk: Desk) -> None:
    desk.venue.will_answer(AlreadyPlaced(), keeps=True)
    desk.venue.look_up_failure = RequestHeldBackError("nothing is left", retry_after=17 * SECOND)

    await desk.attempt()

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.row().attempts == 0
    assert desk.orders.breaker.failures == 0


async def test_while_the_rate_limit_leaves_nothing_no_order_is_claimed(desk: Desk) -> None:
    class HeldForAMoment(Unlimited):
        def held_for(self, priority: RequestPriority) -> timedelta:
            return SECOND if priority is RequestPriority.SUBMIT else timedelta(0)

    held = replace(desk.submission, limiter=HeldForAMoment())

    assert await held.submit([ORDER_ID]) == 0
    assert await held.sweep(limit=10, overdue_by=timedelta(0)) == 0
    assert desk.row().attempt == 0
    assert await desk.attempt() == 1


async def test_an_order_that_the_venue_has_already_is_looked_up_and_adopted(desk: Desk) -> None:
    desk.venue.will_answer(AlreadyPlaced(), keeps=True)

    await desk.attempt()

    assert desk.venue.asked == ["submit", "find"]
    assert desk.order().status is OrderStatus.PLACED


async def test_an_order_that_the_venue_has_but_hides_is_in_doubt(desk: Desk) -> None:
    desk.venue.will_answer(AlreadyPlaced())

    await desk.attempt()

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.row().maybe_sent_at == desk.clock()


async def test_an_order_that_the_venue_reports_to_have_is_never_given_up_because_a_look_up_failed() -> None:
    desk = Desk(max_attempts=1)
    await desk.store()
    desk.venue.will_answer(AlreadyPlaced(), keeps=True)
    desk.venue.is_reachable = False

    await desk.attempt()

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.row().maybe_sent_at == desk.clock()


async def test_an_order_that_the_venue_claims_and_never_shows_stays_in_doubt_and_is_an_alarm(desk: Desk) -> None:
    claims = 2 * desk.max_attempts
    desk.venue.will_answer(*[AlreadyPlaced()] * claims)

    for _ in range(claims):
        await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert len(desk.telemetry.said("venue_contradicts_itself")) == claims - 1

    desk.venue.keep(name_of(ORDER_ID), desk.order().terms)
    await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.PLACED


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        (None, "placed"),
        (Rejected(reason=VENUE_SAYS), "refused"),
        (REFUSED_CONNECTION, "not_executed"),
        (LOST_ANSWER, "unknown"),
        (RateLimited(retry_after=SECOND), "rate_limited"),
        (Unauthorized(error="bad key"), "unauthorized"),
    ],
)
async def test_each_attempt_is_counted_by_its_outcome(
    desk: Desk, outcome: SubmissionOutcome | None, label: str
) -> None:
    desk.venue.will_answer(*([outcome] if outcome else []))

    await desk.attempt()

    assert desk.telemetry.counted(Metric.SUBMISSION_ATTEMPTS, outcome=label) == 1


# --- Refusals ---------------------------------------------------------------------------------------------------


async def test_an_order_that_the_venue_rejects_in_its_answer_is_rejected_immediately(desk: Desk) -> None:
    desk.venue.will_answer(EndedAtOnce(report=ended(End.REJECTED, venue_order_id="V1")))

    await desk.attempt()

    assert desk.kinds() == ["REJECTED"]
    assert desk.order().facts.venue_order_id == "V1"
    assert desk.order().reason == VENUE_SAYS

    await desk.report(accepted())

    assert desk.order().status is OrderStatus.REJECTED
    assert not desk.telemetry.said("order_revived")


async def test_a_refusal_after_a_lost_answer_waits_for_a_look_up_after_the_settle_time(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, Rejected(reason=VENUE_REFUSES))
    await desk.attempt()

    await desk.attempt(after=5 * SECOND)

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.row().maybe_sent_at == desk.clock()
    assert "insufficient buying power" in str(desk.row().last_error)
    desk.venue.asked.clear()

    await desk.attempt(after=5 * SECOND)

    assert desk.venue.asked == ["find"]
    assert desk.order().status is OrderStatus.REJECTED
    assert desk.order().reason == VENUE_REFUSES
    assert desk.kinds() == ["PLACEMENT_IN_DOUBT", "REJECTED"]
    assert desk.row().attempts == 2
    assert await desk.attempt(after=3600 * SECOND) == 0


async def test_a_look_up_within_the_settle_time_of_the_refusal_decides_nothing(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, Rejected(reason=VENUE_REFUSES))
    await desk.attempt()
    await desk.attempt(after=5 * SECOND)

    desk.row().submit_due_at = desk.clock()
    await desk.attempt(after=4 * SECOND)

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.wake_ups.placements[-1] == (ORDER_ID, SECOND)


async def test_a_refusal_after_a_lost_answer_of_an_order_that_the_venue_has_leaves_it_placed(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, Rejected(reason=VENUE_REFUSES))
    await desk.attempt()
    await desk.attempt(after=5 * SECOND)
    desk.venue.keep(name_of(ORDER_ID), desk.order().terms)

    await desk.attempt(after=5 * SECOND)

    assert desk.kinds() == ["PLACEMENT_IN_DOUBT", "PLACED"]
    assert desk.venue.asked.count("submit") == 2


async def test_a_refusal_stays_stored_while_look_ups_fail(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, Rejected(reason=VENUE_REFUSES))
    await desk.attempt()
    await desk.attempt(after=5 * SECOND)
    desk.venue.is_reachable = False
    for _ in range(2 * desk.max_attempts):
        await desk.attempt(after=60 * SECOND)
    assert desk.order().status is OrderStatus.IN_DOUBT
    desk.venue.is_reachable = True

    await desk.attempt(after=60 * SECOND)

    assert desk.order().reason == VENUE_REFUSES
    assert desk.venue.asked.count("submit") == 2


async def test_a_refusal_after_an_attempt_that_crashed_waits_for_a_look_up_as_well(desk: Desk) -> None:
    await desk.orders.claim([ORDER_ID], lease=30 * SECOND)
    desk.venue.will_answer(Rejected(reason=VENUE_REFUSES))

    await desk.attempt(after=40 * SECOND)
    assert desk.order().status is OrderStatus.IN_DOUBT

    await desk.attempt(after=5 * SECOND)
    assert desk.order().status is OrderStatus.REJECTED


async def test_a_refusal_decides_also_while_trading_is_halted_and_after_a_cancel_was_requested(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, Rejected(reason=VENUE_REFUSES))
    await desk.attempt()
    await desk.attempt(after=5 * SECOND)
    await desk.cancellation.request(ORDER_ID, account_ids=("alice",))
    halt = TradingHalt(id=ORDER_ID, account_id="alice", halted_at=MIDNIGHT, halted_by="olga", halt_reason="fat finger")
    await begin_halt(desk.orders.halts, halt)

    await desk.attempt(after=5 * SECOND)

    assert desk.order().status is OrderStatus.REJECTED
    assert desk.row().cancel_due_at is None


@pytest.mark.parametrize("meanwhile", [accepted(), filled("1"), ended(End.CANCELED)], ids=["new", "fill", "canceled"])
async def test_a_refusal_of_an_order_that_the_stream_has_shown_meanwhile_changes_nothing(
    desk: Desk, meanwhile: Report
) -> None:
    async def show() -> None:
        await desk.report(meanwhile)

    desk.venue.during_submit = show
    desk.venue.will_answer(Rejected(reason=VENUE_REFUSES))
    await desk.attempt()

    assert "REJECTED" not in desk.kinds()
    assert desk.order().status is not OrderStatus.REJECTED
    assert desk.row().submit_due_at is None


GATEWAY_ANSWERS = [OutcomeUnknown(error="HTTP 429", retry_after=SECOND), Unauthorized(error="HTTP 401")]


@pytest.mark.parametrize("answer", GATEWAY_ANSWERS)
async def test_a_refusal_after_an_answer_that_a_gateway_may_have_sent_does_not_end_the_order(
    desk: Desk, answer: SubmissionOutcome
) -> None:
    desk.venue.will_answer(answer, keeps=True)
    desk.venue.will_answer(Rejected(reason=VENUE_REFUSES))
    desk.venue.hidden.add(name_of(ORDER_ID))
    await desk.attempt()

    await desk.attempt(after=60 * SECOND)

    assert desk.venue.asked == ["submit", "find", "submit"]
    assert desk.order().status is OrderStatus.IN_DOUBT


@pytest.mark.parametrize("answer", GATEWAY_ANSWERS)
async def test_an_order_whose_answer_a_gateway_may_have_sent_is_not_sent_again_within_the_settle_time(
    desk: Desk, answer: SubmissionOutcome
) -> None:
    desk.venue.will_answer(answer, keeps=True)
    desk.venue.hidden.add(name_of(ORDER_ID))
    await desk.attempt()
    row = desk.orders.rows[ORDER_ID]
    row.submit_due_at = desk.clock()

    await desk.attempt(after=SECOND)
    desk.venue.hidden.clear()
    await desk.attempt(after=60 * SECOND)

    assert desk.venue.asked == ["submit", "find", "find"]
    assert desk.order().status is OrderStatus.PLACED


# --- Looking up before sending again ----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [REFUSED_CONNECTION, RateLimited(retry_after=SECOND), LOST_ANSWER])
async def test_every_attempt_but_the_first_looks_the_order_up(desk: Desk, first: SubmissionOutcome) -> None:
    desk.venue.will_answer(first)
    await desk.attempt()
    desk.venue.asked.clear()

    await desk.attempt(after=10 * SECOND)

    assert desk.venue.asked == ["find", "submit"]


async def test_an_order_in_doubt_that_is_found_is_adopted_and_not_sent_again(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, keeps=True)
    await desk.attempt()

    await desk.attempt(after=SECOND)

    assert desk.venue.asked == ["submit", "find"]
    assert desk.order().status is OrderStatus.PLACED
    assert desk.kinds() == ["PLACEMENT_IN_DOUBT", "PLACED"]


async def test_not_found_within_the_settle_time_proves_nothing(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, keeps=True)
    desk.venue.hidden.add(name_of(ORDER_ID))
    await desk.attempt()

    await desk.attempt(after=2 * SECOND)

    assert desk.venue.asked == ["submit", "find"]
    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.row().attempts == 1
    assert desk.wake_ups.placements[-1] == (ORDER_ID, 3 * SECOND)


async def test_an_order_that_shows_after_the_settle_time_is_adopted(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, keeps=True)
    desk.venue.hidden.add(name_of(ORDER_ID))
    await desk.attempt()
    await desk.attempt(after=2 * SECOND)
    desk.venue.hidden.clear()

    await desk.attempt(after=3 * SECOND)

    assert desk.order().status is OrderStatus.PLACED
    assert desk.venue.asked.count("submit") == 1


async def test_not_found_after_the_settle_time_is_sent_again(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER)
    await desk.attempt()

    await desk.attempt(after=5 * SECOND)

    assert desk.venue.asked == ["submit", "find", "submit"]
    assert desk.order().status is OrderStatus.PLACED


async def test_the_settle_time_starts_again_with_each_lost_answer(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, LOST_ANSWER)
    await desk.attempt()
    await desk.attempt(after=5 * SECOND)
    desk.venue.asked.clear()

    await desk.attempt(after=4 * SECOND)

    assert desk.venue.asked == ["find"]


async def test_the_venues_order_with_other_terms_is_an_alarm_and_neither_adopted_nor_sent_again(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER)
    await desk.attempt()
    desk.venue.keep(name_of(ORDER_ID), renamed(some_terms(), symbol="MSFT"))

    for _ in range(5):
        await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.venue.asked.count("submit") == 1
    assert len(desk.telemetry.said("venue_order_mismatch")) == 5


async def test_the_venues_order_of_a_kind_that_is_never_sent_is_an_alarm_and_not_adopted(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER)
    await desk.attempt()
    desk.venue.keep(name_of(ORDER_ID), some_terms())
    desk.venue.orders[name_of(ORDER_ID)] = replace(desk.venue.orders[name_of(ORDER_ID)], terms=None)

    await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert len(desk.telemetry.said("venue_order_mismatch")) == 1
    assert desk.row().attempts == 1


# --- Back-off and budget ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
async def test_the_back_off_doubles_up_to_its_cap_and_is_jittered_down_to_the_half(jitter: float, share: float) -> None:
    desk = Desk(max_attempts=9, jitter=jitter)
    await desk.store()
    desk.venue.will_answer(*[REFUSED_CONNECTION] * 8)

    for _ in range(8):
        await desk.attempt(after=60 * SECOND)

    delays = [delay for _, delay in desk.wake_ups.placements]
    assert delays == [timedelta(seconds=share * seconds) for seconds in (1, 2, 4, 8, 16, 32, 60, 60)]


async def test_a_very_long_budget_does_not_overflow_the_back_off() -> None:
    desk = Desk(max_attempts=100_000)
    await desk.store()
    desk.row().attempts = 50_000
    desk.venue.will_answer(REFUSED_CONNECTION)

    await desk.attempt()

    assert desk.wake_ups.placements == [(ORDER_ID, 60 * SECOND)]


async def test_an_order_is_not_attempted_before_it_is_due(desk: Desk) -> None:
    desk.venue.will_answer(REFUSED_CONNECTION)
    await desk.attempt()

    assert await desk.attempt(after=0.5 * SECOND) == 0
    assert await desk.attempt(after=0.5 * SECOND) == 1


async def test_a_used_up_budget_fails_the_order_with_the_last_error(desk: Desk) -> None:
    desk.venue.will_answer(*[REFUSED_CONNECTION] * 3)

    for _ in range(3):
        await desk.attempt(after=60 * SECOND)

    reason = reason_of(desk)
    assert desk.order().status is OrderStatus.FAILED
    assert reason.code == "ATTEMPTS_USED_UP"
    assert "3 attempts" in reason.message
    assert "connection refused" in reason.message
    assert desk.row().attempts == 3
    assert desk.kinds() == ["FAILED"]
    assert await desk.attempt(after=3600 * SECOND) == 0


async def test_a_used_up_budget_leaves_an_order_in_doubt_until_the_venue_is_known_not_to_have_it(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, LOST_ANSWER, LOST_ANSWER)
    for _ in range(3):
        await desk.attempt(after=60 * SECOND)
    assert desk.order().status is OrderStatus.IN_DOUBT

    await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.FAILED
    assert desk.venue.asked.count("submit") == 3
    assert desk.row().attempts == 3


async def test_an_order_stays_in_doubt_while_its_look_ups_fail(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, keeps=True)
    await desk.attempt()
    desk.venue.is_reachable = False

    for _ in range(20):
        await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.venue.asked.count("submit") == 1

    desk.venue.is_reachable = True
    await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.PLACED


async def test_look_ups_that_were_not_made_use_up_no_attempt_of_an_order_in_doubt(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER)
    await desk.attempt()
    desk.venue.look_up_failure = VenueNotConnectedError("connection refused")
    for _ in range(4):
        await desk.attempt(after=61 * SECOND)
    desk.venue.look_up_failure = None

    await desk.attempt(after=61 * SECOND)

    assert desk.order().status is OrderStatus.PLACED


async def test_an_unsent_order_is_given_up_even_if_look_ups_fail(desk: Desk) -> None:
    desk.venue.will_answer(REFUSED_CONNECTION)
    await desk.attempt()
    desk.venue.is_reachable = False

    for _ in range(2):
        await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.FAILED
    assert desk.venue.asked.count("submit") == 1


# --- Claims, leases and fences ----------------------------------------------------------------------------------


async def test_two_concurrent_wake_ups_make_one_attempt(desk: Desk) -> None:
    made = await asyncio.gather(desk.attempt(), desk.attempt(), desk.submission.sweep(limit=9, overdue_by=0 * SECOND))

    assert sorted(made) == [0, 0, 1]
    assert desk.venue.asked == ["submit"]


async def test_an_attempt_that_crashed_counts_as_sent_until_its_lease_ended(desk: Desk) -> None:
    await desk.orders.claim([ORDER_ID], lease=30 * SECOND)
    assert await desk.attempt(after=29 * SECOND) == 0

    await desk.attempt(after=2 * SECOND)
    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.venue.asked == ["find"]

    await desk.attempt(after=4 * SECOND)
    assert desk.venue.asked == ["find", "find", "submit"]
    assert desk.order().status is OrderStatus.PLACED


async def test_an_attempt_that_lost_its_claim_writes_nothing(desk: Desk) -> None:
    async def paused_until_another_took_over() -> None:
        desk.venue.during_submit = None
        desk.clock.advance(31 * SECOND)
        await desk.orders.claim([ORDER_ID], lease=30 * SECOND)

    desk.venue.during_submit = paused_until_another_took_over
    desk.venue.will_answer(Rejected(reason=VENUE_SAYS))

    await desk.attempt()

    assert desk.order().status is OrderStatus.PENDING
    assert desk.row().attempt == 2
    assert desk.row().lease_until is not None
    assert not desk.publisher.commits
    assert desk.telemetry.said("attempt_fenced")


async def test_nothing_is_sent_when_the_lease_ran_low_while_waiting_for_a_slot(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = MonotonicTime.of_the_loop(monkeypatch)

    class BusySlots(asyncio.Semaphore):
        async def acquire(self) -> Literal[True]:
            time.passed = 15.1
            return await super().acquire()

    desk.slots = BusySlots(4)

    await desk.attempt()

    assert desk.venue.asked == []
    assert desk.row().attempts == 0
    assert desk.wake_ups.placements == [(ORDER_ID, timedelta(0))]


async def test_nothing_is_sent_when_the_lease_ran_low_while_the_claim_was_under_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The process was paused between the claim's commit and its answer.
    time = MonotonicTime.of_the_loop(monkeypatch)

    class SlowStore(MemoryOrderStore):
        async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
            claims = await super().claim(order_ids, lease=lease)
            time.passed = 15.1
            return claims

    desk.orders = SlowStore(desk.clock, rows=desk.orders.rows)

    await desk.attempt()

    assert desk.venue.asked == []


@dataclass(slots=True)
class MonotonicTime:
    """The loop's own clock, advanced by a test."""

    passed: float = 0.0

    @classmethod
    def of_the_loop(cls, monkeypatch: pytest.MonkeyPatch) -> "MonotonicTime":
        time = cls()
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + time.passed)
        return time


async def test_the_slots_bound_the_concurrent_attempts(desk: Desk) -> None:
    others = [UUID(int=number) for number in range(100, 112)]
    for number, order_id in enumerate(others):
        await desk.store(order_id, client_order_id=f"other-{number}")
    running: list[int] = [0, 0]

    async def count() -> None:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0)
        running[0] -= 1

    desk.venue.during_submit = count

    await desk.submission.submit([ORDER_ID, *others])

    assert running[1] == 4
    assert {desk.order(order_id).status for order_id in others} == {OrderStatus.PLACED}


async def test_an_attempt_that_is_being_written_down_holds_no_slot(desk: Desk) -> None:
    other = UUID(int=100)
    await desk.store(other, client_order_id="other")
    desk.slots, both_sent = asyncio.Semaphore(1), asyncio.Event()

    class SlowStore(MemoryOrderStore):
        async def write(
            self,
            writes: Sequence[OrderWrite],
            *,
            fence: Fence | None = None,
            ticket: WriteTicket = IMMEDIATE,
            action: ActionToStore | None = None,
        ) -> Sequence[RecordedChange]:
            await both_sent.wait()
            return await super().write(writes, fence=fence, ticket=ticket, action=action)

    async def note() -> None:
        if desk.venue.asked.count("submit") == 2:
            both_sent.set()

    desk.orders = SlowStore(desk.clock, rows=desk.orders.rows)
    desk.venue.during_submit = note

    async with asyncio.timeout(5):
        await desk.submission.submit([ORDER_ID, other])

    assert desk.order().status is desk.order(other).status is OrderStatus.PLACED


async def test_one_orders_bug_does_not_cancel_the_others_attempts(desk: Desk) -> None:
    other = UUID(int=100)
    await desk.store(other, client_order_id="other")

    async def break_once() -> None:
        desk.venue.during_submit = None
        raise RuntimeError("a bug")

    desk.venue.during_submit = break_once

    await desk.submission.submit([ORDER_ID, other])

    assert desk.order(other).status is OrderStatus.PLACED
    assert desk.telemetry.said("attempt_not_recorded")
    assert desk.row().lease_until is not None

    await desk.attempt(after=31 * SECOND)
    await desk.attempt(after=5 * SECOND)

    assert desk.order().status is OrderStatus.PLACED


async def test_a_placed_order_whose_conclusion_was_lost_is_found_by_the_next_attempt(desk: Desk) -> None:
    async def lose_the_database() -> None:
        desk.orders.failure = UnavailableError()

    desk.venue.during_submit = lose_the_database
    await desk.attempt()
    desk.orders.failure = None

    await desk.attempt(after=31 * SECOND)

    assert desk.order().status is OrderStatus.PLACED
    assert desk.venue.asked == ["submit", "find"]


async def test_the_sweeper_takes_the_most_overdue_orders_first(desk: Desk) -> None:
    late = UUID(int=100)
    desk.clock.advance(SECOND)
    await desk.store(late, client_order_id="late")
    desk.clock.advance(5 * SECOND)

    assert await desk.submission.sweep(limit=1, overdue_by=5 * SECOND) == 1
    assert desk.order().status is OrderStatus.PLACED
    assert desk.order(late).status is OrderStatus.PENDING


async def test_the_sweeper_skips_recently_due_orders(desk: Desk) -> None:
    assert await desk.submission.sweep(limit=10, overdue_by=5 * SECOND) == 0


# --- What happens meanwhile -------------------------------------------------------------------------------------


async def test_a_report_that_arrives_during_an_attempt_is_stored_with_its_outcome(desk: Desk) -> None:
    async def fill() -> None:
        await desk.report(filled("4", venue_order_id="V1"))

    desk.venue.during_submit = fill
    desk.venue.will_answer(OutcomeUnknown(error="reset"), keeps=True)

    await desk.attempt()

    assert desk.order().status is OrderStatus.PARTIALLY_FILLED
    assert desk.kinds() == ["FILL"]
    assert desk.row().lease_until is None
    assert desk.row().submit_due_at is None
    assert desk.wake_ups.placements == []


async def test_a_bust_that_comes_first_shows_the_order_too(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, keeps=True)
    await desk.attempt()

    await desk.report(busted())

    assert desk.order().status is OrderStatus.PLACED
    assert await desk.attempt(after=60 * SECOND) == 0


async def test_a_cancel_requested_before_an_attempt_ends_the_order_without_sending_it(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER)
    await desk.attempt()
    await desk.cancellation.request(ORDER_ID, account_ids=("alice",))

    await desk.attempt(after=10 * SECOND)

    assert desk.order().status is OrderStatus.CANCELED
    assert reason_of(desk).source is ReasonSource.ACCOUNT
    assert desk.venue.asked == ["submit", "find"]


async def test_a_cancel_requested_while_the_answer_is_lost_does_not_end_an_order_at_the_venue(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER, keeps=True)
    await desk.attempt()
    await desk.cancellation.request(ORDER_ID, account_ids=("alice",))
    desk.wake_ups.cancels.clear()

    await desk.attempt(after=10 * SECOND)

    assert desk.order().status is OrderStatus.PENDING_CANCEL
    assert desk.order().facts.rank is VenueRank.WORKING
    assert desk.wake_ups.cancels == [(ORDER_ID, timedelta(0))]


async def test_an_order_given_up_while_a_cancel_was_requested_is_over(desk: Desk) -> None:
    async def ask() -> None:
        await desk.report(cancel_asked())

    desk.venue.will_answer(*[REFUSED_CONNECTION] * 3)
    await desk.attempt()
    await desk.attempt(after=60 * SECOND)
    desk.venue.during_submit = ask

    await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.FAILED
    assert desk.row().cancel_due_at is None


async def test_an_order_canceled_by_us_that_shows_at_the_venue_is_canceled_there(desk: Desk) -> None:
    desk.venue.will_answer(LOST_ANSWER)
    await desk.attempt()
    await desk.cancellation.request(ORDER_ID, account_ids=("alice",))
    await desk.attempt(after=10 * SECOND)
    desk.wake_ups.cancels.clear()

    await desk.report(accepted())

    assert desk.order().status is OrderStatus.PENDING_CANCEL
    assert desk.wake_ups.cancels == [(ORDER_ID, timedelta(0))]
    assert desk.telemetry.said("order_revived")
    assert End.CANCELED in desk.order().facts.ends
