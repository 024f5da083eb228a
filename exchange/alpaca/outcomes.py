"""What each answer of this venue proves: the table for submissions, and the smaller one for cancel requests. Pure.

| answer to a submission | proves |
| --- | --- |
| 2xx with the order | placed; rejected, if that is its status |
| 422 "client_order_id must be unique" | placed earlier |
| the connection was never made | no request was made |
| 503, code 50310000, "not executed: …" | not executed: an extension of our simulated exchange |
| 429 with a rate limit header or a code of the venue | not executed: too many requests |
| any other 429 | nothing, and requests a pause |
| 401; 403 without a code | nothing, and the order waits: our key is refused, by the venue or by a gateway |
| 400, 403, 422 with a message and a code of the venue's scheme | refused |
| everything else: 404, 408, 5xx, lost answers, answers that cannot be read | nothing |

The venue's codes are its HTTP status and a number from 10000 on: 40310000 comes with 403. 400xxxxx comes with 422 too.
Gateways and routers answer 4xx with JSON as well (`{"message":"no Route matched with those values"}`); without such a
code an answer is not the venue's and proves nothing: no refusal, no absence, not that a cancel is impossible. The code
numbers are generic, one number stands for several refusals, so the message is matched too: a look-up proves that the
venue does not have the order only by 404, 40410000 and a message that begins "order not found" (its router answers 404,
40410000 "endpoint not found").
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.model.errors import VenueBusyError, VenueUnauthorizedError, VenueUnreachableError
from domain.model.reports import OrderEnded
from domain.model.values import Reason, ReasonSource
from domain.ports.venue_outcomes import (
    AlreadyPlaced,
    CancelNotPossible,
    CancelOutcome,
    CancelPostponed,
    CancelTaken,
    CancelUnknown,
    EndedAtOnce,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    Placed,
    RateLimited,
    Rejected,
    SubmissionOutcome,
    Unauthorized,
)
from exchange.alpaca.fields import WireError, as_object, optional_text, parse_json
from exchange.alpaca.http_answer import HttpAnswer, NotConnectedError
from exchange.alpaca.orders import parse_acceptance
from exchange.alpaca.rate_headers import has_limit_header, retry_after

DUPLICATE_MESSAGE = "client_order_id must be unique"
NOT_EXECUTED_CODE = 50310000
NOT_EXECUTED_MESSAGE = "not executed:"
UNAUTHORIZED_CODE = 40110000
FORBIDDEN_KEY_MESSAGE = "forbidden."
"""The broker answers a wrong key with 403 and this message; 403 otherwise means missing funds or shares."""
NOT_FOUND_CODE = 40410000
NOT_FOUND_MESSAGE = "order not found"

BAD_REQUEST = 400
UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
UNPROCESSABLE = 422
TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503

_REFUSALS = frozenset({BAD_REQUEST, FORBIDDEN, UNPROCESSABLE})
_CODES_PER_STATUS = 100_000
_CODE_NUMBER_MIN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """The venue's form of an error: a generic number and a message."""

    code: int | None
    message: str


def complaint_of(answer: HttpAnswer) -> Complaint | None:
    """Return the error in the body, or None when it is not in the venue's form."""
    try:
        data = as_object(parse_json(answer.body), what="body")
        message = optional_text(data, "message")
    except WireError:
        return None
    if message is None:
        return None
    code = data.get("code")
    return Complaint(code=code if type(code) is int else None, message=message)


def submission_outcome(
    answer: HttpAnswer, *, venue_client_order_id: str, now: datetime, wait_max: timedelta
) -> SubmissionOutcome:
    """Return what an answer to a submission proves; `wait_max` bounds the pause that a 429 may request."""
    if answer.is_success:
        return _placed(answer, venue_client_order_id)
    complaint = complaint_of(answer)
    if answer.status == TOO_MANY_REQUESTS:
        wait = retry_after(answer, now=now, wait_max=wait_max)
        is_venues = has_limit_header(answer) or (complaint is not None and _has_venue_code(answer, complaint))
        return RateLimited(retry_after=wait) if is_venues else OutcomeUnknown(error=describe(answer), retry_after=wait)
    if answer.status == UNAUTHORIZED or _is_about_the_key(answer, complaint):
        return Unauthorized(error=describe(answer))
    if complaint is None:
        return OutcomeUnknown(error=describe(answer))
    if answer.status == UNPROCESSABLE and DUPLICATE_MESSAGE in complaint.message:
        return AlreadyPlaced()
    if answer.status in _REFUSALS and _has_venue_code(answer, complaint):
        return Rejected(reason=_reason(complaint))
    if _is_declared_not_executed(answer, complaint):
        return NotExecuted(error=complaint.message)
    return OutcomeUnknown(error=describe(answer))


def submission_failure(error: Exception) -> NotSent | OutcomeUnknown:
    """Return what a missing answer proves: NotSent only if the connection was never made."""
    if isinstance(error, NotConnectedError):
        return NotSent(error=describe_failure(error))
    return OutcomeUnknown(error=describe_failure(error))


def question_failure(answer: HttpAnswer, *, now: datetime, wait_max: timedelta) -> VenueUnreachableError | None:
    """Why an answer to a question is none, where that concerns more than this question: too many, or a wrong key."""
    if answer.status == TOO_MANY_REQUESTS:
        return VenueBusyError(describe(answer), retry_after=retry_after(answer, now=now, wait_max=wait_max))
    return VenueUnauthorizedError(describe(answer)) if is_unauthorized(answer) else None


def is_unauthorized(answer: HttpAnswer) -> bool:
    """Return whether the venue refuses us: any 401, and a 403 without a code, which is not about an order."""
    if answer.status == UNAUTHORIZED:
        return True
    complaint = complaint_of(answer)
    return answer.status == FORBIDDEN and (complaint is None or _is_about_the_key(answer, complaint))


def cancel_outcome(answer: HttpAnswer, *, now: datetime, wait_max: timedelta) -> CancelOutcome:
    """Return what an answer to a cancel request proves; `wait_max` bounds the pause that a 429 may request."""
    if answer.is_success:
        return CancelTaken()
    if answer.status == TOO_MANY_REQUESTS:
        wait = retry_after(answer, now=now, wait_max=wait_max)
        return CancelPostponed(error=describe(answer), retry_after=wait)
    complaint = complaint_of(answer)
    is_refused = answer.status == UNPROCESSABLE and complaint is not None and _has_venue_code(answer, complaint)
    if complaint is not None and (is_refused or proves_absence(answer)):
        return CancelNotPossible(reason=_reason(complaint))
    return CancelUnknown(error=describe(answer))


def proves_absence(answer: HttpAnswer) -> bool:
    """Return whether the answer states, in the venue's own form, that it does not have the order now."""
    complaint = complaint_of(answer)
    return (
        answer.status == NOT_FOUND
        and complaint is not None
        and complaint.code == NOT_FOUND_CODE
        and complaint.message.startswith(NOT_FOUND_MESSAGE)
    )


def describe(answer: HttpAnswer) -> str:
    """Return the answer in one short sentence, for people."""
    complaint = complaint_of(answer)
    return f"HTTP {answer.status}" if complaint is None else f"HTTP {answer.status}: {complaint.message}"


def describe_failure(error: Exception) -> str:
    """Return the failure in one short sentence; some have no text."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _placed(answer: HttpAnswer, venue_client_order_id: str) -> Placed | EndedAtOnce | OutcomeUnknown:
    try:
        data = as_object(parse_json(answer.body), what="order")
        report = parse_acceptance(data, venue_client_order_id=venue_client_order_id)
    except WireError as error:
        return OutcomeUnknown(error=f"HTTP {answer.status} that cannot be read: {error}")
    return EndedAtOnce(report=report) if isinstance(report, OrderEnded) else Placed(report=report)


def _has_venue_code(answer: HttpAnswer, complaint: Complaint) -> bool:
    """Return whether the code is one that the venue sends with this HTTP status."""
    if complaint.code is None:
        return False
    status, number = divmod(complaint.code, _CODES_PER_STATUS)
    is_invalid = answer.status == UNPROCESSABLE and status == BAD_REQUEST
    return number >= _CODE_NUMBER_MIN and (status == answer.status or is_invalid)


def _is_about_the_key(answer: HttpAnswer, complaint: Complaint | None) -> bool:
    if answer.status != FORBIDDEN or complaint is None:
        return False
    return complaint.code in {None, UNAUTHORIZED_CODE} or complaint.message == FORBIDDEN_KEY_MESSAGE


def _is_declared_not_executed(answer: HttpAnswer, complaint: Complaint) -> bool:
    return (
        answer.status == UNAVAILABLE
        and complaint.code == NOT_EXECUTED_CODE
        and complaint.message.startswith(NOT_EXECUTED_MESSAGE)
    )


def _reason(complaint: Complaint) -> Reason:
    return Reason(source=ReasonSource.VENUE, code=f"VENUE_{complaint.code}", message=complaint.message)
