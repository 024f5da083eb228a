"""The status table, rule by rule, and the fields that people read with the status."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from domain.model.cancel_requests import CancelRequests
from domain.model.changes import ChangeKind
from domain.model.order import (
    CANCELED_AS_ASKED,
    CANCELED_BEFORE_SENDING,
    FINAL_STATUSES,
    End,
    Facts,
    Order,
    OrderStatus,
    SubmissionPhase,
    VenueRank,
    derive_status,
    is_submission_over,
)
from domain.model.reports import Report
from domain.model.values import Reason, ReasonSource
from tests.support.examples import (
    VENUE_REFUSES,
    VENUE_SAYS,
    WE_SAY,
    accepted,
    after_reports,
    an_order_after_reports,
    became_unknown,
    busted,
    cancel_asked,
    cancel_refused,
    cancel_sent,
    corrected,
    ended,
    filled,
    given_up,
    refused,
)


def status_of(facts: Facts) -> OrderStatus:
    return derive_status(facts, quantity=Decimal(10))


OPEN_CANCEL = CancelRequests(requested=1)


def test_a_fresh_order_is_pending() -> None:
    assert status_of(Facts()) is OrderStatus.PENDING


def test_an_order_whose_answer_was_lost_is_in_doubt() -> None:
    assert status_of(Facts(phase=SubmissionPhase.SENT_UNKNOWN)) is OrderStatus.IN_DOUBT


def test_an_order_that_was_given_up_has_failed() -> None:
    assert status_of(Facts(phase=SubmissionPhase.GIVEN_UP)) is OrderStatus.FAILED


def test_an_order_that_an_answer_refused_is_rejected_with_the_venues_reason() -> None:
    order = an_order_after_reports(became_unknown(), refused())

    assert order.status is OrderStatus.REJECTED
    assert order.reason == VENUE_REFUSES
    assert is_submission_over(order.facts)


def test_a_refusal_and_giving_up_have_the_same_result_in_either_order() -> None:
    assert an_order_after_reports(refused(), given_up()).facts == an_order_after_reports(given_up(), refused()).facts
    assert an_order_after_reports(refused(), given_up()).status is OrderStatus.REJECTED


def test_a_refusal_of_an_order_that_may_exist_is_stored_and_decides_nothing() -> None:
    order = an_order_after_reports(became_unknown(refusal=VENUE_REFUSES))

    assert order.status is OrderStatus.IN_DOUBT
    assert order.reason == WE_SAY
    assert order.facts.refusal == VENUE_REFUSES
    assert not is_submission_over(order.facts)


def test_the_stored_refusal_is_the_reason_once_it_decides() -> None:
    order = an_order_after_reports(became_unknown(refusal=VENUE_REFUSES), refused(VENUE_SAYS))

    assert order.reason == VENUE_REFUSES


LIVE = [accepted(rank=VenueRank.ACCEPTED), accepted(), filled("1"), busted(), corrected("1"), ended(End.EXPIRED)]


@pytest.mark.parametrize(
    ("belief", "status"),
    [
        (refused(), OrderStatus.PLACED),
        (given_up(), OrderStatus.PLACED),
        (ended(End.CANCELED, reason=CANCELED_BEFORE_SENDING), OrderStatus.PENDING_CANCEL),
    ],
)
@pytest.mark.parametrize("evidence", LIVE)
def test_a_report_of_a_live_order_revives_it_by_a_separate_change(
    belief: Report, status: OrderStatus, evidence: Report
) -> None:
    believed = an_order_after_reports(belief)

    applied = after_reports(believed, evidence)

    revived = applied.changes[0]
    assert revived.kind is ChangeKind.REVIVED
    assert revived.order.status is status
    assert [change.order.version for change in applied.changes] == [
        believed.version + number for number in range(1, len(applied.changes) + 1)
    ]
    assert applied.order.status not in {OrderStatus.REJECTED, OrderStatus.FAILED, OrderStatus.CANCELED}


@pytest.mark.parametrize(
    ("evidence", "kinds", "status"),
    [
        ([accepted()], "REVIVED", OrderStatus.PLACED),
        ([filled("1")], "REVIVED FILL", OrderStatus.PARTIALLY_FILLED),
        ([filled("10")], "REVIVED FILL", OrderStatus.FILLED),
        ([accepted(), ended(End.CANCELED)], "REVIVED CANCELED", OrderStatus.CANCELED),
        ([ended(End.CANCELED)], "REVIVED CANCELED", OrderStatus.CANCELED),
        ([ended(End.EXPIRED)], "REVIVED EXPIRED", OrderStatus.EXPIRED),
        ([ended(End.REJECTED)], "REJECTED", OrderStatus.REJECTED),
        ([ended(End.REJECTED), accepted()], "REJECTED PLACED", OrderStatus.REJECTED),
        ([accepted(), ended(End.REJECTED)], "REVIVED REJECTED", OrderStatus.REJECTED),
    ],
)
def test_what_the_venue_shows_follows_the_change_revived(
    evidence: Sequence[Report], kinds: str, status: OrderStatus
) -> None:
    applied = after_reports(an_order_after_reports(refused()), *evidence)

    assert " ".join(change.kind for change in applied.changes) == kinds
    assert applied.order.status is status


def test_an_order_with_an_open_cancel_request_is_revived_as_pending_cancel() -> None:
    applied = after_reports(an_order_after_reports(became_unknown(), cancel_asked(), refused()), accepted())

    assert [(change.kind, change.order.status) for change in applied.changes] == [
        (ChangeKind.REVIVED, OrderStatus.PENDING_CANCEL)
    ]


def test_an_order_that_the_venue_shows_for_the_first_time_is_not_revived() -> None:
    assert [change.kind for change in after_reports(an_order_after_reports(became_unknown()), accepted()).changes] == [
        ChangeKind.PLACED
    ]
    assert [
        change.kind for change in after_reports(an_order_after_reports(ended(End.REJECTED)), filled("1")).changes
    ] == [ChangeKind.FILL]


@pytest.mark.parametrize("phase", SubmissionPhase)
@pytest.mark.parametrize("rank", [VenueRank.ACCEPTED, VenueRank.WORKING])
def test_an_order_at_the_venue_is_placed_in_any_earlier_status(phase: SubmissionPhase, rank: VenueRank) -> None:
    assert status_of(Facts(phase=phase, rank=rank)) is OrderStatus.PLACED


@pytest.mark.parametrize("rank", VenueRank)
def test_a_part_filled_order_is_partially_filled_even_before_the_acknowledgement(rank: VenueRank) -> None:
    assert status_of(Facts(rank=rank, filled_quantity=Decimal("9.99"))) is OrderStatus.PARTIALLY_FILLED


@pytest.mark.parametrize(
    "facts",
    [
        Facts(cancel=OPEN_CANCEL),
        Facts(cancel=OPEN_CANCEL, phase=SubmissionPhase.SENT_UNKNOWN),
        Facts(cancel=OPEN_CANCEL, rank=VenueRank.WORKING),
        Facts(cancel=OPEN_CANCEL, rank=VenueRank.WORKING, filled_quantity=Decimal(1)),
        Facts(cancel=OPEN_CANCEL, rank=VenueRank.WORKING, phase=SubmissionPhase.GIVEN_UP),
    ],
)
def test_an_open_cancel_request_shows_on_every_live_order(facts: Facts) -> None:
    assert status_of(facts) is OrderStatus.PENDING_CANCEL


def test_an_order_that_was_given_up_has_failed_even_while_a_cancel_is_open() -> None:
    # Otherwise it would wait permanently for a cancel by a venue that does not have it.
    assert status_of(Facts(phase=SubmissionPhase.GIVEN_UP, cancel=OPEN_CANCEL)) is OrderStatus.FAILED


def test_a_refused_cancel_is_not_open() -> None:
    facts = Facts(rank=VenueRank.WORKING, cancel=CancelRequests(requested=2, sent=2, refused=2))

    assert status_of(facts) is OrderStatus.PLACED


@pytest.mark.parametrize("filled_quantity", [Decimal(0), Decimal(3)])
@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ({End.CANCELED}, OrderStatus.CANCELED),
        ({End.REPLACED}, OrderStatus.CANCELED),
        ({End.EXPIRED}, OrderStatus.EXPIRED),
        ({End.EXPIRED, End.CANCELED}, OrderStatus.CANCELED),
        ({End.EXPIRED, End.REPLACED}, OrderStatus.CANCELED),
        ({End.EXPIRED, End.REJECTED}, OrderStatus.EXPIRED),
        (set(End), OrderStatus.CANCELED),
    ],
)
def test_the_ends_of_the_venue_have_a_fixed_precedence(
    ends: set[End], status: OrderStatus, filled_quantity: Decimal
) -> None:
    facts = Facts(ends=frozenset(ends), filled_quantity=filled_quantity, cancel=OPEN_CANCEL, rank=VenueRank.WORKING)

    assert status_of(facts) is status


def test_an_order_that_the_venue_refused_is_rejected() -> None:
    assert status_of(Facts(ends=frozenset({End.REJECTED}), cancel=OPEN_CANCEL)) is OrderStatus.REJECTED


def test_a_rejection_after_a_fill_cancels_what_was_left() -> None:
    facts = Facts(ends=frozenset({End.REJECTED}), filled_quantity=Decimal(1))

    assert status_of(facts) is OrderStatus.CANCELED


@pytest.mark.parametrize("filled_quantity", [Decimal(10), Decimal("10.000"), Decimal(11)])
@pytest.mark.parametrize("end", [None, *End])
def test_a_filled_order_is_filled_with_any_other_facts(end: End | None, filled_quantity: Decimal) -> None:
    ends = frozenset() if end is None else frozenset({end})
    facts = Facts(filled_quantity=filled_quantity, ends=ends, cancel=OPEN_CANCEL, phase=SubmissionPhase.GIVEN_UP)

    assert status_of(facts) is OrderStatus.FILLED


def test_five_statuses_are_final() -> None:
    assert {status for status in OrderStatus if status.is_final} == FINAL_STATUSES
    assert {status.value for status in FINAL_STATUSES} == {"FILLED", "CANCELED", "EXPIRED", "REJECTED", "FAILED"}


@pytest.mark.parametrize(
    "order",
    [
        an_order_after_reports(accepted()),
        an_order_after_reports(filled("1")),
        an_order_after_reports(ended(End.REJECTED)),
        an_order_after_reports(given_up()),
        an_order_after_reports(filled("1"), busted()),
        an_order_after_reports(corrected("1"), busted()),
        an_order_after_reports(busted()),
    ],
)
def test_placing_has_ended_once_the_venue_reports_the_order_or_we_gave_up(order: Order) -> None:
    assert is_submission_over(order.facts)


def test_placing_is_not_over_while_an_order_waits_or_is_in_doubt() -> None:
    assert not is_submission_over(an_order_after_reports().facts)
    assert not is_submission_over(an_order_after_reports(became_unknown(), cancel_asked()).facts)


# --- The reason -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (an_order_after_reports(), None),
        (an_order_after_reports(accepted()), None),
        (an_order_after_reports(became_unknown()), WE_SAY),
        (an_order_after_reports(given_up()), WE_SAY),
        (an_order_after_reports(refused()), VENUE_REFUSES),
        (an_order_after_reports(given_up(), refused()), VENUE_REFUSES),
        (an_order_after_reports(refused(), ended(End.REJECTED)), VENUE_SAYS),
        (an_order_after_reports(refused(), accepted()), None),
        (an_order_after_reports(ended(End.REJECTED)), VENUE_SAYS),
        (an_order_after_reports(ended(End.EXPIRED)), VENUE_SAYS),
        (an_order_after_reports(ended(End.CANCELED)), VENUE_SAYS),
        (an_order_after_reports(ended(End.REPLACED)), VENUE_SAYS),
        (an_order_after_reports(filled("1"), ended(End.REJECTED)), VENUE_SAYS),
        (an_order_after_reports(accepted(), cancel_asked(), cancel_sent(), ended(End.CANCELED)), CANCELED_AS_ASKED),
        (
            an_order_after_reports(accepted(), cancel_asked(), cancel_sent(), cancel_refused(), ended(End.CANCELED)),
            VENUE_SAYS,
        ),
        (an_order_after_reports(filled("10"), ended(End.CANCELED)), None),
        (an_order_after_reports(became_unknown(), accepted()), None),
    ],
)
def test_the_reason_belongs_to_the_status(order: Order, reason: Reason | None) -> None:
    assert order.reason == reason


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_reasons_of_one_end_the_same_one_counts_in_either_order(swapped: bool) -> None:
    other = Reason(source=ReasonSource.VENUE, code="A", message="Another wording.")
    reports = [ended(End.EXPIRED), ended(End.EXPIRED, reason=other)]

    order = an_order_after_reports(*(reversed(reports) if swapped else reports))

    assert order.reason == an_order_after_reports(*reports).reason


# --- Leaves ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "leaves"),
    [
        (an_order_after_reports(), "10"),
        (an_order_after_reports(filled("4")), "6"),
        (an_order_after_reports(filled("4"), cancel_asked()), "6"),
        (an_order_after_reports(filled("4"), ended(End.CANCELED)), "0"),
        (an_order_after_reports(filled("12")), "0"),
        (an_order_after_reports(given_up()), "0"),
        (an_order_after_reports(refused()), "0"),
        (an_order_after_reports(refused(), accepted()), "10"),
    ],
)
def test_what_is_left_is_zero_once_final_and_never_negative(order: Order, leaves: str) -> None:
    assert order.leaves_quantity == Decimal(leaves)


def test_the_average_price_weighs_each_fill_by_its_quantity() -> None:
    order = an_order_after_reports(filled("1", price="10"), filled("3", name="E2", price="20"))

    assert order.average_price == Decimal("17.5")


@pytest.mark.parametrize("text", ["x" * 5_000, "a\x00b", "\ud800", ""])
def test_a_repeated_end_whose_reason_is_stored_in_another_form_changes_nothing(text: str) -> None:
    reason = Reason(source=ReasonSource.VENUE, code=text, message=text)
    stored = an_order_after_reports(accepted(), ended(End.REJECTED, reason=reason))

    repeated = after_reports(stored, ended(End.REJECTED, reason=reason))

    assert repeated.order == stored
    assert not repeated.changes
    assert stored.reason is not None
    assert len(stored.reason.message) <= 2_000
