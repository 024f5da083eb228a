"""The checker finds violations, and nothing else: constructed runs, with and without violations."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos.histories import (
    ACCOUNT,
    CHANGES,
    FIVE,
    INGEST,
    OTHER_INGEST,
    OTHER_WORKER,
    TWO,
    WORKER,
    ZERO,
    A,
    account_following,
    batch,
    change,
    checkpoint,
    good_run,
    message_of,
    order_a,
    order_b,
    place_answer,
    placing_step,
    position,
    takeover,
    venue_order,
)
from tools.chaos.checker import check
from tools.chaos.evidence import (
    CancelAnswer,
    Following,
    HaltPeriod,
    Leftover,
    Message,
    Pause,
    PlacingStep,
    Session,
    VenueRequest,
)

GOOD = good_run()


def test_a_run_in_which_all_is_well_violates_nothing() -> None:
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"place_answers": [*GOOD.place_answers, place_answer("client-c", "order-c")]}, "acknowledged and lost"),
        ({"place_answers": [*GOOD.place_answers, place_answer("client-b", "another")]}, "acknowledged under another"),
        ({"place_answers": [*GOOD.place_answers, place_answer("client-b", "order-b")]}, "called new twice"),
        ({"place_answers": GOOD.place_answers[:3]}, "nobody asked for it"),
        ({"orders": [*GOOD.orders, order_b(id="order-b2")]}, "exists 2 times"),
    ],
)
def test_an_order_that_is_lost_doubled_or_made_up_is_found(changed: dict[str, Any], what: str) -> None:
    assert what in _found(1, **changed)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"venue_orders": [*GOOD.venue_orders, *GOOD.venue_orders]}, "accepted 2 times"),
        ({"venue_orders": [*GOOD.venue_orders, venue_order(order_id="foreign")]}, "unknown here"),
        ({"orders": [order_a(), order_b(status="PENDING")]}, "PENDING here and unknown at the exchange"),
        ({"orders": [order_a(), order_b(status="IN_DOUBT")]}, "IN_DOUBT here and unknown at the exchange"),
        ({"venue_orders": [venue_order(end=None)]}, "FILLED here and open at the exchange"),
        ({"orders": [order_a(status="PLACED"), order_b()]}, "PLACED here and filled at the exchange"),
        ({"orders": [order_a(venue_order_id="v2"), order_b()]}, "another venue order id"),
        ({"venue_orders": [venue_order(symbol="AAPL.N")]}, "5 AAPL here and 5 AAPL.N at the exchange"),
        ({"venue_orders": [venue_order(quantity=TWO)]}, "5 AAPL here and 2 AAPL at the exchange"),
        ({"venue_orders": [venue_order(filled_quantity=TWO)]}, "FILLED here and filled at the exchange"),
        (
            {
                "venue_orders": [venue_order(filled_quantity=TWO)],
                "orders": [order_a(status="PENDING_CANCEL"), order_b()],
            },
            "PENDING_CANCEL here and filled at the exchange",
        ),
        (
            {
                "venue_orders": [venue_order(end=None, is_forgotten=True)],
                "orders": [order_a(status="CANCELED"), order_b()],
            },
            "CANCELED here and open at the exchange, which has forgotten it",
        ),
    ],
)
def test_two_sides_that_disagree_about_an_order_are_found(changed: dict[str, Any], what: str) -> None:
    assert what in _found(2, **changed)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"executions": GOOD.executions[:1]}, "execution missed"),
        ({"venue_executions": GOOD.venue_executions[:1]}, "execution made up"),
        ({"executions": [*GOOD.executions, GOOD.executions[0]]}, "execution counts 2 times"),
        ({"venue_executions": [replace(GOOD.venue_executions[0], quantity=ZERO), GOOD.venue_executions[1]]}, "made up"),
        ({"executions": [replace(GOOD.executions[0], quantity=ZERO), GOOD.executions[1]]}, "execution missed"),
        (
            {"executions": [replace(GOOD.executions[0], price=Decimal("10.01")), GOOD.executions[1]]},
            "execution differs",
        ),
        ({"orders": [order_a(filled_quantity=Decimal(4)), order_b()]}, "filled quantity is not the sum"),
        ({"orders": [order_a(notional=Decimal("50.0001")), order_b()]}, "notional is not the sum"),
    ],
)
def test_an_execution_that_is_missed_made_up_or_wrong_is_found(changed: dict[str, Any], what: str) -> None:
    assert what in _found(3, **changed)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"orders": [order_a(derived_status="PLACED"), order_b()]}, "its facts give PLACED"),
        ({"changes": [*CHANGES[:4], *CHANGES[5:]]}, "versions do not rise by 1"),
        ({"orders": [order_a(version=5), order_b()]}, "versions do not rise by 1"),
        ({"changes": [*CHANGES[:5], change(6, A, 4, "PLACED", FIVE)]}, "the last change is not the order's state"),
        ({"changes": [*CHANGES[:5], replace(CHANGES[5], sequence=7)]}, "sequence has a gap"),
        ({"sequences": {ACCOUNT: 7}}, "sequence has a gap"),
    ],
)
def test_a_status_version_or_sequence_that_does_not_follow_is_found(changed: dict[str, Any], what: str) -> None:
    assert what in _found(4, **changed)


@pytest.mark.parametrize(
    ("before", "after", "kind", "is_right"),
    [
        ("REJECTED", "PLACED", "REVIVED", True),
        ("FAILED", "PARTIALLY_FILLED", "REVIVED", True),
        ("CANCELED", "PENDING_CANCEL", "REVIVED", True),
        ("FILLED", "PARTIALLY_FILLED", "RESTATED", True),
        ("FILLED", "PARTIALLY_FILLED", "CORRECTED", True),
        ("FILLED", "PLACED", "RESOLVED", True),
        ("EXPIRED", "PARTIALLY_FILLED", "CORRECTED", False),
        ("CANCELED", "PLACED", "RESTATED", False),
        ("FAILED", "REJECTED", "REJECTED", True),
        ("CANCELED", "FILLED", "FILL", True),
        ("CANCELED", "CANCELED", "FILL", True),
        ("PLACED", "REJECTED", "REJECTED", True),
        ("REJECTED", "PLACED", "PLACED", False),
        ("FAILED", "PLACED", "PLACED", False),
        ("CANCELED", "PLACED", "PLACED", False),
        ("FILLED", "PARTIALLY_FILLED", "FILL", False),
        ("REJECTED", "CANCELED", "FILL", False),
        ("FAILED", "FILLED", "FILL", False),
    ],
)
def test_an_ended_order_is_live_again_only_by_a_change_of_the_kind_revived(
    before: str, after: str, kind: str, *, is_right: bool
) -> None:
    steps = [change(5, A, 3, before, FIVE), change(6, A, 4, after, FIVE, kind=kind)]
    message_of = _found(
        4, changes=[*CHANGES[:4], *steps], orders=[order_a(status=after, derived_status=after), order_b()]
    )

    assert message_of == ("" if is_right else f"from {before} to {after} by {kind}")


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        ([checkpoint(3), message_of(4), message_of(6)], "changes 5 to 5 were missed"),
        ([checkpoint(3), message_of(4), message_of(4), message_of(5), message_of(6)], "change 4 came again"),
        ([checkpoint(3), message_of(5), message_of(4), message_of(6)], "change 4 came again, or late"),
        ([checkpoint(3), message_of(4), message_of(5)], "ended at 5, and the database is at 6"),
        ([message_of(4), message_of(5), message_of(6)], "came first, without a snapshot or checkpoint"),
        ([checkpoint(5), message_of(6), Message(kind="RESET", place=6)], "RESET"),
        ([checkpoint(5), replace(message_of(6), status="PLACED")], "change 6 is another one"),
        ([checkpoint(5), message_of(6), replace(message_of(6), place=7)], "change 7 is not in the database"),
    ],
)
def test_a_change_that_a_subscriber_missed_or_saw_wrongly_is_found(messages: list[Message], what: str) -> None:
    assert what in _found(5, followings=[account_following(Session(after=None, messages=messages))])


def test_a_stream_that_resumes_at_another_position_is_found() -> None:
    first = Session(after=None, messages=[checkpoint(3), message_of(4)])
    resumed = Session(after=4, messages=[checkpoint(5), message_of(6)])

    assert "a checkpoint at 5 after 4" in _found(5, followings=[account_following(first, resumed)])


def test_an_error_without_a_retry_and_late_subscribers_are_found() -> None:
    following = Following(subscriber=0, account_id="account-2", errors=["INTERNAL"])

    assert "error: INTERNAL" in _found(5, followings=[following])
    assert "for more than 10 s" in _found(5, behind_seconds=None)
    assert "for more than 10 s" in _found(5, behind_seconds=10.1)
    assert _found(5, behind_seconds=9.9) == ""


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (placing_step(lease_left_seconds=0.5), "under somebody else's lease"),
        (placing_step(was_over=True), "claimed, and placing was over"),
        (placing_step(attempt_before=3, attempt=2), "attempt 2 follows attempt 3"),
        (placing_step(attempt_before=1, is_leased=False), "an attempt ended that held no lease"),
        (placing_step(attempt_before=1, attempts_changed=False), "a lease without a claim"),
    ],
)
def test_an_attempt_concurrent_with_another_or_after_its_end_is_found(step: PlacingStep, what: str) -> None:
    assert what in _found(6, placing_steps=[step])


def test_a_claim_after_a_lease_has_ended_and_an_end_after_the_exchange_has_spoken_are_right() -> None:
    steps = [
        placing_step(attempt_before=1, attempt=2, lease_left_seconds=-0.1),
        placing_step(attempt_before=2, attempt=2, is_leased=False, was_over=True),
    ]

    assert _found(6, placing_steps=steps) == ""


def test_an_older_attempt_that_ends_a_newer_one_is_found_unless_it_has_a_report_of_the_exchange() -> None:
    claimed_twice = [placing_step(), placing_step(attempt_before=1, attempt=2, writer=OTHER_WORKER)]
    ended = placing_step(attempt_before=2, attempt=2, lease_left_seconds=5.0, is_leased=False)

    assert f"attempt 2 of {OTHER_WORKER} was ended by {WORKER}" in _found(6, placing_steps=[*claimed_twice, ended])
    assert _found(6, placing_steps=[*claimed_twice, replace(ended, has_evidence=True)]) == ""
    assert _found(6, placing_steps=[*claimed_twice, replace(ended, writer=OTHER_WORKER)]) == ""


def test_an_older_leader_that_writes_is_found() -> None:
    led = [takeover(4, INGEST), takeover(5, OTHER_INGEST)]
    older = position(5, INGEST)
    back = position(5, OTHER_INGEST, moment_before=12.0)

    assert f"{INGEST} wrote 3 changes, and {OTHER_INGEST} led" in _found(
        6, leader_steps=led, batches=[batch(5, INGEST)]
    )
    assert f"{INGEST} wrote the position" in _found(6, leader_steps=[*led, older])
    assert "an older leader" in _found(6, leader_steps=[*led, replace(takeover(4, INGEST), epoch_before=5)])
    assert "went back" in _found(6, leader_steps=[*led, back])


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"quiet_seconds": None}, "not quiet within 30 s"),
        ({"orders": [order_a(), order_b(is_due=True)]}, "still to be placed"),
        ({"orders": [order_a(is_cancel_due=True), order_b()]}, "still to be canceled"),
        ({"leftovers": [Leftover(name="Redis keys", value=9, allowed=8)]}, "Redis keys: 9, allowed are 8"),
    ],
)
def test_unfinished_work_and_leaked_resources_are_found(changed: dict[str, Any], what: str) -> None:
    assert what in _found(7, **changed)


def test_a_cancel_that_was_noted_for_good_and_not_carried_out_is_found() -> None:
    asked = CancelAnswer(order_id=A, outcome="ok")
    still_open = order_a(status="PLACED", filled_quantity=ZERO)

    assert "still to be canceled" in _found(7, cancel_answers=[asked], orders=[still_open, order_b()])


def test_a_busted_execution_is_none_whether_it_was_ever_recorded_or_not() -> None:
    venue_executions = [replace(GOOD.venue_executions[0], quantity=ZERO), GOOD.venue_executions[1]]
    three = Decimal(3)
    short = order_a(status="PARTIALLY_FILLED", filled_quantity=three, notional=Decimal(30))
    changed: dict[str, Any] = {
        "venue_orders": [venue_order(filled_quantity=three)],
        "venue_executions": venue_executions,
        "orders": [short, order_b()],
    }
    recorded = [GOOD.executions[0], replace(GOOD.executions[1], quantity=ZERO)]

    assert _found(2, executions=recorded, **changed) == ""
    assert _found(3, executions=recorded, **changed) == ""
    assert _found(3, executions=GOOD.executions[:1], **changed) == ""


def test_a_cancel_of_what_the_exchange_calls_filled_is_over_once_it_is_refused() -> None:
    asked = [CancelAnswer(order_id=A, outcome="ok")]
    short = {"venue_orders": [venue_order(filled_quantity=TWO)], "cancel_answers": asked}
    stands = order_a(status="PARTIALLY_FILLED", filled_quantity=TWO)

    assert _found(7, orders=[stands, order_b()], **short) == ""
    assert "still to be canceled" in _found(7, orders=[replace(stands, is_cancel_due=True), order_b()], **short)
    assert "still to be canceled" in _found(7, orders=[stands, order_b()], cancel_answers=asked)


@pytest.mark.parametrize(
    ("status", "is_right"), [("IN_DOUBT", True), ("CANCELED", True), ("FAILED", True), ("EXPIRED", False)]
)
def test_a_forgotten_order_whose_acceptance_was_never_reported_counts_as_never_arrived(
    status: str, *, is_right: bool
) -> None:
    order = order_a(status=status, venue_order_id=None)
    forgotten = venue_order(end=None, filled_quantity=ZERO, is_forgotten=True)

    assert (_found(2, venue_orders=[forgotten], orders=[order, order_b()]) == "") is is_right


@pytest.mark.parametrize("status", ["PLACED", "PENDING_CANCEL", "IN_DOUBT"])
def test_a_forgotten_order_need_not_end_and_may_not_be_called_over(status: str) -> None:
    order = order_a(status=status, filled_quantity=ZERO, is_due=status == "IN_DOUBT", is_cancel_due=True)
    forgotten = venue_order(end=None, filled_quantity=ZERO, is_forgotten=True)
    asked = CancelAnswer(order_id=A, outcome="ok")
    changed: dict[str, Any] = {"venue_orders": [forgotten], "orders": [order, order_b()], "cancel_answers": [asked]}

    assert _found(2, **changed) == ""
    assert _found(7, **changed) == ""
    jobs = [Leftover(name="keys saq:job:fillwire", value=1, allowed=0)]
    assert _found(7, **changed, leftovers=jobs) == ""
    assert "keys saq" in _found(7, leftovers=jobs)
    assert "EXPIRED here and open" in _found(2, **changed | {"orders": [replace(order, status="EXPIRED"), order_b()]})


@pytest.mark.parametrize(("at", "is_found"), [(9.0, False), (10.5, False), (14.0, True), (20.5, False)])
def test_a_submission_in_a_halted_account_is_found_unless_it_was_under_way(at: float, *, is_found: bool) -> None:
    halts = [HaltPeriod(account_id=ACCOUNT, began=10.0, ended=20.0), HaltPeriod(account_id="other", began=0, ended=99)]
    request = VenueRequest(order_id="name-a", at=at, life=0, is_submission=True)
    paused = Pause(process="worker-1", began=5.0, ended=at - 0.5)

    assert ("submitted in a halted account" in _found(8, halts=halts, requests=[request])) is is_found
    assert _found(8, halts=halts, requests=[replace(request, is_submission=False)]) == ""
    assert _found(8, halts=halts, requests=[request], pauses=[paused]) == ""


@pytest.mark.parametrize(
    ("asked_at", "answered_at", "is_found"), [(9.0, 11.0, False), (11.0, 12.0, True), (19.0, 20.1, False)]
)
def test_an_order_that_is_accepted_in_a_halted_account_is_found(
    asked_at: float, answered_at: float, *, is_found: bool
) -> None:
    halts = [
        HaltPeriod(account_id=ACCOUNT, began=1.0, ended=2.0),
        HaltPeriod(account_id=ACCOUNT, began=10.0, ended=20.0),
    ]
    answer = place_answer("client-a", A, asked_at=asked_at, answered_at=answered_at)

    assert ("accepted in a halted account" in _found(8, halts=halts, place_answers=[answer])) is is_found
    assert _found(8, halts=halts, place_answers=[replace(answer, replayed=True)]) == ""


def _found(invariant: int, **changed: Any) -> str:
    """Return the violations of that invariant in the good run with this change."""
    return "\n".join(each.what for each in check(good_run(**changed)) if each.invariant == invariant)


def completed_early(**changed: Any) -> Following:
    """Return a subscriber of order A whose stream completed one change before the newest."""
    (following,) = [one for one in good_run().followings if one.order_id == A]
    first, last = following.sessions
    messages = [*last.messages[:-1]]
    messages[-1] = replace(messages[-1], **changed)
    return replace(following, sessions=[first, replace(last, messages=messages)])


def test_a_change_after_a_completed_stream_is_a_violation_unless_the_stream_reported_missing_fills() -> None:
    found = check(good_run(followings=[completed_early()]))
    told_of_it = check(good_run(followings=[completed_early(shows_difference=True)]))

    assert any("ended at" in each.what for each in found)
    assert not told_of_it


@pytest.mark.parametrize(("status", "is_right"), [("REJECTED", True), ("CANCELED", False)])
def test_a_rejection_may_have_another_text_after_a_completed_stream_but_not_another_end(
    status: str, *, is_right: bool
) -> None:
    changes = [
        *CHANGES[:4],
        change(5, A, 3, "REJECTED", ZERO, kind="REJECTED"),
        change(6, A, 4, status, ZERO, kind=status),
    ]
    told_rejected = replace(message_of(5), status="REJECTED", filled_quantity=ZERO, kind="CHANGE", place=3)
    session = Session(after=None, messages=[replace(told_rejected, kind="SNAPSHOT")], completed=True)
    following = Following(subscriber=1, account_id=ACCOUNT, order_id=A, sessions=[session])

    assert (_found(5, changes=changes, followings=[following]) == "") is is_right


@pytest.mark.parametrize(
    ("kind", "is_right"), [("CORRECTED", True), ("RESOLVED", True), ("REVIVED", True), ("FILL", False)]
)
def test_after_a_completed_stream_busts_may_follow_and_no_late_fill(kind: str, *, is_right: bool) -> None:
    changes = [*CHANGES[:5], replace(CHANGES[5], kind=kind)]

    assert (_found(5, changes=changes, followings=[completed_early()]) == "") is is_right
