"""Invariant 2 in the exchange's request log: no second submission of an id without a look-up that showed absence. Pure.

The journal does not contain this while the exchange refuses an id that it has seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.chaos.evidence import Evidence, Pause, VenueRequest
from tools.chaos.violations import Violation

RESUMED_WITHIN_SECONDS = 2.0
"""A process that was stopped between its last check of the lease and its send sends so soon after it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionCounts:
    """The number of submissions, and of those that repeat an id: after a look-up that showed absence, `excused` by
    a pause, `not_judged` because the exchange's log in between is lost, and `bare`, all others.
    """

    submissions: int
    after_absence: int
    excused: int
    not_judged: int
    bare: Sequence[VenueRequest]

    @property
    def repeated(self) -> int:
        """Return how many submissions repeat an id."""
        return self.after_absence + self.excused + self.not_judged + len(self.bare)


def check_submissions(evidence: Evidence) -> Iterator[Violation]:
    """Judge every second submission of an id."""
    for request in count_submissions(evidence).bare:
        what = "submitted again without a look-up that showed absence"
        yield Violation(invariant=2, what=what, subject=request.order_id)


def count_submissions(evidence: Evidence) -> SubmissionCounts:
    """Count the submissions by what preceded them."""
    pauses = [pause for pause in evidence.pauses if pause.seconds > evidence.lease_seconds / 2]
    submissions = after_absence = excused = not_judged = 0
    bare: list[VenueRequest] = []
    last: dict[str, VenueRequest] = {}
    absent: set[str] = set()
    for request in evidence.requests:
        if not request.is_submission:
            if request.shows_absence:
                absent.add(request.order_id)
            continue
        submissions += 1
        before, last[request.order_id] = last.get(request.order_id), request
        was_absent = request.order_id in absent
        absent.discard(request.order_id)
        if before is None:
            continue
        if was_absent:
            after_absence += 1
        elif not evidence.lives_cut_short.isdisjoint(range(before.life, request.life)):
            not_judged += 1
        elif any(has_just_ended(pause, request) for pause in pauses):
            excused += 1
        else:
            bare.append(request)
    return SubmissionCounts(
        submissions=submissions, after_absence=after_absence, excused=excused, not_judged=not_judged, bare=bare
    )


def has_just_ended(pause: Pause, request: VenueRequest) -> bool:
    """Return whether the process may have sent this request, or the one before it, when it resumed."""
    return 0 <= request.at - pause.ended <= RESUMED_WITHIN_SECONDS
