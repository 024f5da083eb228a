"""A second submission of an id is checked against the earlier requests at the exchange: constructed request logs."""

import pytest

from tests.chaos.histories import A, B, good_run
from tools.chaos.check_submissions import count_submissions
from tools.chaos.checker import check
from tools.chaos.evidence import Evidence, Pause, VenueRequest

LEASE_SECONDS = 6.0


def submission(at: float, order_id: str = A, *, life: int = 0) -> VenueRequest:
    """Return a submission that arrived at that time."""
    return VenueRequest(order_id=order_id, at=at, life=life, is_submission=True)


def look_up(at: float, order_id: str = A, *, shows_absence: bool = True, life: int = 0) -> VenueRequest:
    """Return a look-up that arrived at that time."""
    return VenueRequest(order_id=order_id, at=at, life=life, is_submission=False, shows_absence=shows_absence)


def run_with(*requests: VenueRequest, pause: Pause | None = None, cut_short: int | None = None) -> Evidence:
    """Return the good run with these requests."""
    return good_run(
        requests=requests,
        lease_seconds=LEASE_SECONDS,
        pauses=[] if pause is None else [pause],
        lives_cut_short=frozenset() if cut_short is None else {cut_short},
    )


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [submission(1)],
        [submission(1), submission(2, B)],
        [submission(1), look_up(2), submission(3)],
        [submission(1), look_up(2), look_up(3, shows_absence=False), submission(4)],
        [submission(1), look_up(2), submission(3), look_up(4), submission(5, life=1)],
    ],
)
def test_submissions_with_a_look_up_that_showed_absence_between_them_are_right(requests: list[VenueRequest]) -> None:
    assert check(run_with(*requests)) == []


@pytest.mark.parametrize(
    "requests",
    [
        [submission(1), submission(2)],
        [look_up(1), submission(2), submission(3)],
        [submission(1), look_up(2, B), submission(3)],
        [submission(1), look_up(2, shows_absence=False), submission(3)],
        [submission(1), look_up(2), submission(3), submission(4)],
        [submission(1), submission(2, life=1)],
    ],
)
def test_a_second_submission_without_a_look_up_that_showed_absence_is_found(requests: list[VenueRequest]) -> None:
    (violation,) = check(run_with(*requests))

    assert (violation.invariant, violation.subject) == (2, A)
    assert "submitted again without a look-up" in violation.what


@pytest.mark.parametrize(
    ("began", "ended", "is_excused"),
    [
        (1, 4.1, True),
        (1, 3.9, False),  # Less than half a lease: the worker must have sent it before the next claim.
        (-5, 1.9, False),  # It has been running again for too long.
        (1.5, 7, False),  # It was still stopped.
    ],
)
def test_a_pause_beyond_half_a_lease_excuses_what_is_sent_as_it_ends(
    began: float, ended: float, *, is_excused: bool
) -> None:
    evidence = run_with(submission(1), submission(4.2), pause=Pause(process="worker-1", began=began, ended=ended))

    assert (check(evidence) == []) is is_excused
    assert count_submissions(evidence).excused == is_excused


def test_nothing_is_concluded_from_a_log_that_was_lost_in_between() -> None:
    evidence = run_with(submission(1), submission(2, life=1), submission(3, life=1), cut_short=0)

    counts = count_submissions(evidence)
    assert (counts.not_judged, [request.at for request in counts.bare]) == (1, [3])


def test_submissions_are_counted_by_what_preceded_them() -> None:
    pause = Pause(process="worker-1", began=0, ended=4.5)
    counts = count_submissions(
        run_with(submission(1), look_up(2), submission(3), submission(5), submission(9), submission(9, B), pause=pause)
    )

    assert (counts.submissions, counts.repeated) == (5, 3)
    assert (counts.after_absence, counts.excused, len(counts.bare)) == (1, 1, 1)
