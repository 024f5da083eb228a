"""What each answer of the venue proves, row by row of the table."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest

from domain.model.errors import VenueBusyError, VenueUnauthorizedError
from domain.model.order import VenueRank
from domain.model.values import ReasonSource
from domain.ports.venue import (
    AlreadyPlaced,
    CancelNotPossible,
    CancelOutcome,
    CancelPostponed,
    CancelTaken,
    CancelUnknown,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    Placed,
    RateLimited,
    Rejected,
    SubmissionOutcome,
    Unauthorized,
)
from exchange.alpaca.http_answer import AnswerLostError, AnswerTooLargeError, HttpAnswer, NotConnectedError
from exchange.alpaca.outcomes import cancel_outcome, question_failure, submission_failure, submission_outcome

ORDER_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
NOW = datetime(2026, 1, 5, 8, 0, 30, tzinfo=UTC)
GATEWAY_PAGE = b"<html>gateway</html>"


def complaint(message: str, *, code: int = 40010001) -> bytes:
    return orjson.dumps({"code": code, "message": message})


def outcome(status: int, body: bytes = b"", **headers: str) -> SubmissionOutcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return submission_outcome(
        HttpAnswer(status=status, body=body, headers=named), order_id=ORDER_ID, now=NOW, wait_max=timedelta(seconds=60)
    )


def order_body(client_order_id: str = str(ORDER_ID), *, name: str = "v1") -> bytes:
    order = {"id": name, "client_order_id": client_order_id, "status": "accepted"}
    return orjson.dumps(order | {"submitted_at": "2026-01-05T08:00:00.123456789Z"})


@pytest.mark.parametrize("status", [200, 201])
def test_a_success_with_the_order_proves_that_it_was_placed(status: int) -> None:
    found = outcome(status, order_body())

    assert isinstance(found, Placed)
    assert found.report.venue_order_id == "v1"
    assert found.report.rank is VenueRank.ACCEPTED
    assert found.report.at == datetime(2026, 1, 5, 8, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"null", GATEWAY_PAGE, order_body("another"), b"\xff"])
def test_a_success_that_cannot_be_read_or_names_another_order_proves_nothing(body: bytes) -> None:
    assert isinstance(outcome(200, body), OutcomeUnknown)


@pytest.mark.parametrize("name", ["", ".", "..", "v" * 129])
def test_a_success_whose_order_has_an_id_that_cannot_be_kept_or_asked_for_proves_nothing(name: str) -> None:
    assert isinstance(outcome(200, order_body(name=name)), OutcomeUnknown)


def test_a_client_order_id_that_is_taken_proves_an_earlier_placement() -> None:
    assert outcome(422, complaint("client_order_id must be unique")) == AlreadyPlaced()


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refusal_in_the_venues_words_refuses_the_order(status: int) -> None:
    found = outcome(status, complaint("insufficient buying power", code=40310000))

    assert isinstance(found, Rejected)
    assert found.reason.source is ReasonSource.VENUE
    assert found.reason.code == "VENUE_40310000"
    assert found.reason.message == "insufficient buying power"


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 422, 451])
@pytest.mark.parametrize("body", [b"", GATEWAY_PAGE, b"{}", b'{"message": ""}', b'{"message": 7}'])
def test_a_refusal_that_is_not_in_the_venues_form_proves_nothing(status: int, body: bytes) -> None:
    assert isinstance(outcome(status, body), OutcomeUnknown)


@pytest.mark.parametrize("status", [301, 302, 307, 405, 408, 409, 425, 500, 502, 503, 504, 520])
@pytest.mark.parametrize("body", [b"", GATEWAY_PAGE, complaint("something went wrong")])
def test_time_outs_server_errors_and_redirects_prove_nothing(status: int, body: bytes) -> None:
    assert isinstance(outcome(status, body), OutcomeUnknown)


def test_only_the_declared_refusal_of_a_server_proves_that_nothing_happened() -> None:
    declared = complaint("not executed: the exchange is down", code=50310000)

    assert outcome(503, declared) == NotExecuted(error="not executed: the exchange is down")
    assert isinstance(outcome(500, declared), OutcomeUnknown)
    assert isinstance(outcome(503, complaint("not executed: really", code=50310001)), OutcomeUnknown)
    assert isinstance(outcome(503, complaint("it was not executed: maybe", code=50310000)), OutcomeUnknown)


@pytest.mark.parametrize("body", [b"", GATEWAY_PAGE, complaint("request is not authorized", code=40110000)])
def test_a_401_refuses_us_and_not_the_order(body: bytes) -> None:
    assert isinstance(outcome(401, body), Unauthorized)


def test_a_403_about_the_key_refuses_us_and_not_the_order() -> None:
    assert isinstance(outcome(403, b'{"message": "forbidden."}'), Unauthorized)
    assert isinstance(outcome(403, b'{"message": "access denied"}'), Unauthorized)
    assert isinstance(outcome(403, complaint("request is not authorized", code=40110000)), Unauthorized)


def test_too_many_requests_wait_until_the_reset_by_the_venues_clock() -> None:
    reset = str(int(NOW.timestamp()) + 20)

    assert outcome(429, x_ratelimit_reset=reset) == RateLimited(retry_after=timedelta(seconds=20))
    late = outcome(429, x_ratelimit_reset=reset, date="Mon, 05 Jan 2026 08:00:45 GMT")
    assert late == RateLimited(retry_after=timedelta(seconds=5))


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("0", 1), ("9" * 12, 60), ("1e400", 1), ("nan", 1), ("soon", 1), ("-5", 1), ("9" * 400, 1)],
)
def test_whatever_reset_the_venue_tells_the_wait_stays_between_a_second_and_the_limit(reset: str, seconds: int) -> None:
    assert outcome(429, x_ratelimit_reset=reset) == RateLimited(retry_after=timedelta(seconds=seconds))


@pytest.mark.parametrize("wait", ["7", "Mon, 05 Jan 2026 08:00:47 GMT"])
def test_too_many_requests_wait_for_as_long_as_retry_after_asks(wait: str) -> None:
    limited = outcome(429, retry_after=wait, date="Mon, 05 Jan 2026 08:00:40 GMT")

    assert limited == RateLimited(retry_after=timedelta(seconds=7))


def test_of_retry_after_and_the_reset_the_longer_one_holds() -> None:
    reset = str(int(NOW.timestamp()) + 20)

    assert outcome(429, retry_after="30", x_ratelimit_reset=reset) == RateLimited(retry_after=timedelta(seconds=30))
    assert outcome(429, retry_after="3", x_ratelimit_reset=reset) == RateLimited(retry_after=timedelta(seconds=20))


def test_too_many_requests_without_a_reset_wait_a_second() -> None:
    assert outcome(429, GATEWAY_PAGE) == RateLimited(retry_after=timedelta(seconds=1))
    assert outcome(429, x_ratelimit_reset="5", date="yesterday") == RateLimited(retry_after=timedelta(seconds=1))


@pytest.mark.parametrize(
    "error",
    [
        NotConnectedError("refused"),
        NotConnectedError("no connection in time"),
    ],
)
def test_a_connection_that_was_never_made_proves_that_nothing_was_sent(error: Exception) -> None:
    assert isinstance(submission_failure(error), NotSent)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        AnswerLostError("cut"),
        AnswerTooLargeError("large"),
        ConnectionRefusedError(),
        ConnectionResetError(),
        BrokenPipeError(),
    ],
)
def test_a_lost_answer_proves_nothing(error: Exception) -> None:
    assert isinstance(submission_failure(error), OutcomeUnknown)


def test_a_question_that_is_one_too_many_says_when_to_ask_again() -> None:
    headers = {"x-ratelimit-reset": str(NOW.timestamp() + 7)}

    failure = question_failure(
        HttpAnswer(status=429, body=b"", headers=headers), now=NOW, wait_max=timedelta(seconds=60)
    )

    assert isinstance(failure, VenueBusyError)
    assert failure.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("status", "body"), [(401, b""), (403, complaint("forbidden.")), (403, complaint("no", code=40110000))]
)
def test_a_question_under_a_wrong_key_blames_the_key(status: int, body: bytes) -> None:
    answer = HttpAnswer(status=status, body=body)

    assert isinstance(question_failure(answer, now=NOW, wait_max=timedelta(seconds=60)), VenueUnauthorizedError)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_any_other_answer_to_a_question_concerns_this_question_alone(status: int) -> None:
    assert question_failure(HttpAnswer(status=status, body=b""), now=NOW, wait_max=timedelta(seconds=60)) is None


def test_a_cancel_request_is_taken_refused_or_unknown() -> None:
    assert canceled(204) == CancelTaken()
    for status in (404, 422):
        refused = canceled(status, complaint("order is not cancelable"))
        assert isinstance(refused, CancelNotPossible)
        assert refused.reason.message == "order is not cancelable"
    for status in (302, 400, 401, 403, 404, 408, 422, 500, 503):
        assert isinstance(canceled(status, GATEWAY_PAGE), CancelUnknown)


def test_a_cancel_request_that_is_one_too_many_is_sent_again_when_the_venue_says_so() -> None:
    assert canceled(429, GATEWAY_PAGE, retry_after="9") == CancelPostponed(
        error="HTTP 429", retry_after=timedelta(seconds=9)
    )


def canceled(status: int, body: bytes = b"", **headers: str) -> CancelOutcome:
    """What an answer to a cancel request proves."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    answer = HttpAnswer(status=status, body=body, headers=named)
    return cancel_outcome(answer, now=NOW, wait_max=timedelta(seconds=60))
