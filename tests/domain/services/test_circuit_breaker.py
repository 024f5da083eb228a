"""The circuit breaker: what opens it, its cost for a waiting order, and how it closes again."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from domain.model.changes import ChangeKind
from domain.model.errors import UnavailableError, VenueBusyError, VenueUnauthorizedError
from domain.model.order import OrderStatus
from domain.ports.telemetry import Metric
from domain.ports.venue_outcomes import (
    NotExecuted,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    SubmissionOutcome,
    Unauthorized,
)
from tests.support.examples import ORDER_ID, VENUE_SAYS
from tests.support.memory_gateway import SECOND, Desk

REFUSED_CONNECTION = NotExecuted(error="connection refused")
IDS = [UUID(int=number) for number in range(100, 110)]


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with ten stored orders, where three failures open the circuit for five seconds."""
    desk = Desk(circuit_failures=3, max_attempts=5)
    for order_id in IDS:
        await desk.store(order_id, client_order_id=str(order_id))
    return desk


async def fail(desk: Desk, count: int = 3, *, with_: SubmissionOutcome = REFUSED_CONNECTION) -> None:
    """Fail that number of orders in a row."""
    desk.venue.will_answer(*[with_] * count)
    for order_id in IDS[:count]:
        await desk.submission.submit([order_id])


def attempts(desk: Desk) -> int:
    """How many attempts count against the budgets of all orders."""
    return sum(row.attempts for row in desk.orders.rows.values())


def reason_code(desk: Desk) -> str | None:
    """Return the code of the order's reason."""
    reason = desk.order().reason
    return reason.code if reason else None


@pytest.mark.parametrize(
    "outcome",
    [REFUSED_CONNECTION, OutcomeUnknown(error="HTTP 504"), Unauthorized(error="bad key")],
    ids=["not executed", "unknown", "unauthorized"],
)
async def test_a_run_of_failures_over_several_orders_opens_the_circuit(desk: Desk, outcome: SubmissionOutcome) -> None:
    await fail(desk, with_=outcome)

    assert await desk.submission.submit(IDS[3:]) == 0
    assert await desk.submission.sweep(limit=10, overdue_by=timedelta(0)) == 0
    assert len(desk.venue.asked) == 3
    assert desk.telemetry.counted(Metric.VENUE_CIRCUIT_OPENED) == 1
    (opened,) = desk.telemetry.said("venue_circuit_opened")
    assert opened["delay_seconds"] == 5
    assert "one at a time" in str(opened["next"])


async def test_failed_look_ups_open_it_too(desk: Desk) -> None:
    await fail(desk, 2)
    desk.venue.is_reachable = False
    desk.clock.advance(SECOND)

    await desk.submission.submit(IDS[:1])

    assert await desk.submission.submit(IDS[3:]) == 0


@pytest.mark.parametrize("answer", [None, Rejected(reason=VENUE_SAYS)], ids=["placed", "refused"])
async def test_one_usable_answer_ends_the_run(desk: Desk, answer: SubmissionOutcome | None) -> None:
    await fail(desk, 2)
    desk.venue.will_answer(*([answer] if answer else []))
    await desk.submission.submit([IDS[2]])

    desk.venue.will_answer(REFUSED_CONNECTION, REFUSED_CONNECTION)
    await desk.submission.submit(IDS[3:5])

    assert await desk.submission.submit(IDS[5:]) == 5


async def test_a_success_of_another_worker_ends_the_run_as_well(desk: Desk) -> None:
    await fail(desk, 2)
    desk.breaker = desk.new_breaker()

    await desk.submission.submit([IDS[2]])

    assert desk.orders.breaker.failures == 0


async def test_a_venue_that_works_costs_no_write(desk: Desk) -> None:
    desk.orders.breaker.failure = AssertionError("the gate was written")

    await desk.submission.submit(IDS)

    assert {desk.order(order_id).status for order_id in IDS} == {OrderStatus.PLACED}


async def test_an_order_that_waits_for_an_open_circuit_is_unchanged(desk: Desk) -> None:
    await fail(desk)

    for _ in range(4):
        desk.clock.advance(SECOND)
        await desk.submission.sweep(limit=10, overdue_by=timedelta(0))

    assert attempts(desk) == 3
    assert {desk.order(order_id).status for order_id in IDS} == {OrderStatus.PENDING}
    assert all(desk.row(order_id).submit_due_at is not None for order_id in IDS)


async def test_then_one_order_at_a_time_is_tried(desk: Desk) -> None:
    await fail(desk)
    desk.venue.will_answer(*[REFUSED_CONNECTION] * 3)

    tried = []
    for _ in range(15):
        desk.clock.advance(SECOND)
        tried.append(await desk.submission.sweep(limit=10, overdue_by=timedelta(0)))

    assert tried == [0, 0, 0, 0, 1] * 3
    assert attempts(desk) == 6


async def test_while_a_probe_is_under_way_there_is_no_other(desk: Desk) -> None:
    await fail(desk)
    desk.clock.advance(5 * SECOND)
    others: list[int] = []

    async def meanwhile() -> None:
        desk.venue.during_submit = None
        desk.clock.advance(10 * SECOND)
        others.append(await desk.submission.submit(IDS))

    desk.venue.during_submit = meanwhile
    await desk.submission.submit(IDS[3:])

    assert others == [0]


async def test_a_success_closes_it_and_claims_resume(desk: Desk) -> None:
    await fail(desk)
    desk.clock.advance(5 * SECOND)

    assert await desk.submission.sweep(limit=10, overdue_by=timedelta(0)) == 1
    assert await desk.submission.sweep(limit=10, overdue_by=timedelta(0)) == 9

    assert {desk.order(order_id).status for order_id in IDS} == {OrderStatus.PLACED}
    assert len(desk.telemetry.said("venue_circuit_closed")) == 1


async def test_a_probe_that_shows_nothing_of_the_venue_is_followed_by_another_immediately(desk: Desk) -> None:
    await fail(desk)
    desk.clock.advance(5 * SECOND)
    desk.max_age = SECOND

    tried = [await desk.submission.submit([order_id]) for order_id in IDS[3:]]

    assert tried == [1] * 7
    assert desk.venue.asked == ["submit"] * 3


async def test_an_order_of_a_venue_that_is_down_for_good_still_fails_after_its_budget() -> None:
    desk = Desk(circuit_failures=3, max_attempts=5)
    await desk.store()
    desk.venue.will_answer(*[REFUSED_CONNECTION] * 5)

    for _ in range(100):
        await desk.attempt(after=SECOND)

    assert desk.order().status is OrderStatus.FAILED
    assert desk.row().attempts == 5


async def test_orders_that_were_claimed_before_it_opened_are_held_back_and_pay_nothing(desk: Desk) -> None:
    desk.slots = asyncio.Semaphore(1)
    desk.venue.will_answer(*[REFUSED_CONNECTION] * 10)

    await desk.submission.submit(IDS)

    assert desk.venue.asked.count("submit") == 3
    assert attempts(desk) == 3
    assert desk.telemetry.counted(Metric.SUBMISSION_ATTEMPTS, outcome="held_back") == 7
    assert "connection refused" in str(desk.row(IDS[9]).last_error)
    due_at = desk.row(IDS[9]).submit_due_at
    assert due_at is not None
    assert 4 * SECOND < due_at - desk.clock() <= 5 * SECOND


async def test_a_rate_limit_applies_to_every_worker_until_its_reset(desk: Desk) -> None:
    desk.venue.will_answer(RateLimited(retry_after=17 * SECOND))
    await desk.submission.submit([IDS[0]])
    desk.breaker = desk.new_breaker()
    desk.clock.advance(16.5 * SECOND)

    before = await desk.submission.submit(IDS)
    desk.clock.advance(0.5 * SECOND)
    after = await desk.submission.submit(IDS)

    assert (before, after) == (0, 10)
    assert attempts(desk) == 10
    assert desk.telemetry.counted(Metric.VENUE_PAUSES) == 1
    assert desk.telemetry.said("venue_paused") == [
        {"delay_seconds": 17.0, "next": "no worker claims an order until then"}
    ]


async def test_many_refusals_for_too_many_requests_are_one_pause(desk: Desk) -> None:
    desk.slots = asyncio.Semaphore(1)
    desk.venue.will_answer(*[RateLimited(retry_after=17 * SECOND)] * 10)

    await desk.submission.submit(IDS)

    assert desk.venue.asked == ["submit"]
    assert desk.telemetry.counted(Metric.VENUE_PAUSES) == 1


async def test_a_rate_limited_look_up_is_a_pause_too_and_costs_no_attempt(desk: Desk) -> None:
    await fail(desk, 1)
    desk.clock.advance(SECOND)
    desk.venue.look_up_failure = VenueBusyError("HTTP 429", retry_after=9 * SECOND)

    await desk.submission.submit([IDS[0]])

    assert desk.row(IDS[0]).attempts == 1
    assert desk.row(IDS[0]).submit_due_at == desk.clock() + 9 * SECOND
    assert await desk.submission.submit(IDS) == 0


async def test_a_key_that_is_refused_at_look_ups_never_fails_an_order() -> None:
    desk = Desk(max_attempts=2)
    await desk.store()
    desk.venue.will_answer(Unauthorized(error="bad key"))
    desk.venue.look_up_failure = VenueUnauthorizedError("HTTP 401")

    for _ in range(10):
        await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.row().attempts == 0


async def test_an_order_whose_worker_crashed_is_in_doubt_also_while_it_cannot_be_looked_up() -> None:
    desk = Desk()
    await desk.store()
    await desk.orders.claim([ORDER_ID], lease=30 * SECOND)
    desk.venue.look_up_failure = VenueBusyError("HTTP 429", retry_after=9 * SECOND)

    await desk.attempt(after=31 * SECOND)

    assert desk.order().status is OrderStatus.IN_DOUBT
    assert desk.kinds() == [ChangeKind.PLACEMENT_IN_DOUBT]


async def test_a_breaker_that_cannot_be_updated_does_not_block_the_recording_of_the_outcome(desk: Desk) -> None:
    desk.orders.breaker.failure = UnavailableError()

    await fail(desk, 1)

    assert desk.row(IDS[0]).last_error == "connection refused"
    assert desk.telemetry.said("breaker_not_updated")


async def test_the_gauge_shows_its_state(desk: Desk) -> None:
    shown = []
    for wait in (0, 0, 5):
        desk.clock.advance(wait * SECOND)
        await desk.breaker.measure()
        shown.append(desk.telemetry.gauges[Metric.VENUE_CIRCUIT])
        if wait == 0:
            await fail(desk)

    assert shown == [0, 2, 1]


# --- Orders that are too old -----------------------------------------------------------------------------------


async def test_an_order_that_is_too_old_is_not_sent_and_fails() -> None:
    desk = Desk(max_age=60 * SECOND)
    await desk.store()

    await desk.attempt(after=61 * SECOND)

    assert desk.venue.asked == []
    assert desk.order().status is OrderStatus.FAILED
    assert reason_code(desk) == "TOO_OLD"


async def test_an_order_is_sent_up_to_its_greatest_age() -> None:
    desk = Desk(max_age=60 * SECOND)
    await desk.store()

    await desk.attempt(after=60 * SECOND)

    assert desk.order().status is OrderStatus.PLACED


async def test_an_old_order_in_doubt_is_placed_when_the_venue_has_it() -> None:
    desk = Desk(max_age=60 * SECOND)
    await desk.store()
    desk.venue.will_answer(OutcomeUnknown(error="read timed out"), keeps=True)
    await desk.attempt()

    await desk.attempt(after=90 * SECOND)

    assert desk.order().status is OrderStatus.PLACED


async def test_an_old_order_in_doubt_stays_so_until_a_look_up_settles_it() -> None:
    desk = Desk(max_age=60 * SECOND)
    await desk.store()
    desk.venue.will_answer(OutcomeUnknown(error="read timed out"))
    await desk.attempt()
    desk.venue.is_reachable = False
    for _ in range(10):
        await desk.attempt(after=60 * SECOND)
    still = desk.order().status
    desk.venue.is_reachable = True

    await desk.attempt(after=60 * SECOND)

    assert still is OrderStatus.IN_DOUBT
    assert desk.order().status is OrderStatus.FAILED
    assert desk.venue.asked.count("submit") == 1


async def test_an_old_order_that_was_never_sent_fails_even_if_look_ups_fail() -> None:
    desk = Desk(max_age=60 * SECOND)
    await desk.store()
    desk.venue.will_answer(REFUSED_CONNECTION)
    await desk.attempt()
    desk.venue.is_reachable = False

    await desk.attempt(after=90 * SECOND)

    assert desk.order().status is OrderStatus.FAILED
    assert reason_code(desk) == "TOO_OLD"
