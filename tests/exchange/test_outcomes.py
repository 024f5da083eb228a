"""What each answer of the venue proves, row by row of the table."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from domain.model.errors import VenueBusyError, VenueUnauthorizedError
from domain.model.order import End, VenueRank
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
from exchange.alpaca.http_answer import AnswerLostError, AnswerTooLargeError, HttpAnswer, NotConnectedError
from exchange.alpaca.outcomes import (
    cancel_outcome,
    proves_absence,
    question_failure,
    submission_failure,
    submission_outcome,
)

NAME = "01890a5d-ac96-774b-bcce-b302099a8057"
NOW = datetime(2026, 1, 5, 8, 0, 30, tzinfo=UTC)
GATEWAY_PAGE = b"<html>gateway</html>"


def complaint(message: str, *, code: int = 40010001) -> bytes:
    return orjson.dumps({"code": code, "message": message})


def outcome(status: int, body: bytes = b"", **headers: str) -> SubmissionOutcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return submission_outcome(
        HttpAnswer(status=status, body=body, headers=named),
        venue_client_order_id=NAME,
        now=NOW,
        wait_max=timedelta(seconds=60),
    )


def order_body(client_order_id: str = NAME, *, name: str = "v1") -> bytes:
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
def test_a_success_whose_order_has_an_id_that_cannot_be_stored_or_looked_up_proves_nothing(name: str) -> None:
    assert isinstance(outcome(200, order_body(name=name)), OutcomeUnknown)


def test_a_client_order_id_that_is_taken_proves_an_earlier_placement() -> None:
    assert outcome(422, complaint("client_order_id must be unique")) == AlreadyPlaced()


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 40010000), (403, 40310000), (403, 40310100), (422, 40010001), (422, 42210000), (422, 42210001)],
)
def test_a_refusal_by_the_venue_refuses_the_order(status: int, code: int) -> None:
    found = outcome(status, complaint("insufficient buying power", code=code))

    assert isinstance(found, Rejected)
    assert found.reason.source is ReasonSource.VENUE
    assert found.reason.code == f"VENUE_{code}"
    assert found.reason.message == "insufficient buying power"


NOT_THE_VENUES = [
    b"",
    GATEWAY_PAGE,
    b"Not Found",
    b"null",
    b"[]",
    b'"refused"',
    b"{}",
    b'{"message": ""}',
    b'{"message": 7}',
    b'{"message": null}',
    b'{"message": "no Route matched with those values"}',
    b'{"message": "Not Found"}',
    b'{"message": "insufficient buying power"}',
    b'{"code": null, "message": "refused"}',
    b'{"code": true, "message": "refused"}',
    b'{"code": "40310000", "message": "refused"}',
    b'{"code": 40310000.0, "message": "refused"}',
    b'{"code": 7, "message": "refused"}',
    b'{"code": -40310000, "message": "refused"}',
    b'{"code": 50010000, "message": "refused"}',
    b'{"code": 40000001, "message": "refused"}',
    b'{"error": {"code": 40310000, "message": "refused"}}',
]
"""Bodies that a gateway, a router or a wrong address answers as well."""


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 413, 422, 451])
@pytest.mark.parametrize("body", NOT_THE_VENUES)
def test_a_refusal_that_is_not_in_the_venues_form_proves_nothing(status: int, body: bytes) -> None:
    assert isinstance(outcome(status, body), OutcomeUnknown)


@pytest.mark.parametrize("body", NOT_THE_VENUES)
def test_a_403_that_is_not_in_the_venues_form_refuses_no_order(body: bytes) -> None:
    assert isinstance(outcome(403, body), OutcomeUnknown | Unauthorized)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 40310000), (400, 42210000), (403, 40010000), (403, 42210000), (422, 40310000), (422, 40410000)],
)
def test_a_code_that_the_venue_does_not_send_with_that_status_proves_nothing(status: int, code: int) -> None:
    assert isinstance(outcome(status, complaint("refused", code=code)), OutcomeUnknown)


@pytest.mark.parametrize("code", [40310000, 42210000])
@pytest.mark.parametrize("message", ["null", '""', "7"])
def test_a_refusal_without_a_message_proves_nothing(code: int, message: str) -> None:
    body = f'{{"code": {code}, "message": {message}}}'.encode()

    assert isinstance(outcome(code // 100_000, body), OutcomeUnknown)


@pytest.mark.parametrize("message", ["order not found for x", "endpoint not found", 'asset "AAPL" not found'])
def test_a_placement_that_is_answered_with_not_found_proves_nothing(message: str) -> None:
    assert isinstance(outcome(404, complaint(message, code=40410000)), OutcomeUnknown)


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
    assert isinstance(outcome(403, complaint("insufficient buying power", code=40310000)), Rejected)
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
def test_for_any_reset_of_the_venue_the_wait_is_between_a_second_and_the_limit(reset: str, seconds: int) -> None:
    assert outcome(429, x_ratelimit_reset=reset) == RateLimited(retry_after=timedelta(seconds=seconds))


@pytest.mark.parametrize("wait", ["7", "Mon, 05 Jan 2026 08:00:47 GMT"])
def test_too_many_requests_wait_for_retry_after(wait: str) -> None:
    body = complaint("too many requests.", code=42910000)

    limited = outcome(429, body, retry_after=wait, date="Mon, 05 Jan 2026 08:00:40 GMT")

    assert limited == RateLimited(retry_after=timedelta(seconds=7))


@pytest.mark.parametrize("body", [*NOT_THE_VENUES, b"Too Many Requests"])
@pytest.mark.parametrize("headers", [{}, {"x_ratelimit_limit_minute": "5", "ratelimit_reset": "3"}])
def test_too_many_requests_from_a_gateway_prove_nothing_and_request_a_pause(
    body: bytes, headers: dict[str, str]
) -> None:
    found = outcome(429, body, retry_after="9", **headers)

    assert isinstance(found, OutcomeUnknown)
    assert found.retry_after == timedelta(seconds=9)


def test_of_retry_after_and_the_reset_the_longer_one_holds() -> None:
    reset = str(int(NOW.timestamp()) + 20)

    assert outcome(429, retry_after="30", x_ratelimit_reset=reset) == RateLimited(retry_after=timedelta(seconds=30))
    assert outcome(429, retry_after="3", x_ratelimit_reset=reset) == RateLimited(retry_after=timedelta(seconds=20))


def test_too_many_requests_without_a_reset_wait_a_second() -> None:
    assert outcome(429, GATEWAY_PAGE) == OutcomeUnknown(error="HTTP 429", retry_after=timedelta(seconds=1))
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


def test_a_look_up_above_the_limit_has_the_time_to_retry() -> None:
    headers = {"x-ratelimit-reset": str(NOW.timestamp() + 7)}

    failure = question_failure(
        HttpAnswer(status=429, body=b"", headers=headers), now=NOW, wait_max=timedelta(seconds=60)
    )

    assert isinstance(failure, VenueBusyError)
    assert failure.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("status", "body"), [(401, b""), (403, b'{"message": "forbidden."}'), (403, complaint("no", code=40110000))]
)
def test_a_look_up_with_a_wrong_key_reports_the_key(status: int, body: bytes) -> None:
    answer = HttpAnswer(status=status, body=body)

    assert isinstance(question_failure(answer, now=NOW, wait_max=timedelta(seconds=60)), VenueUnauthorizedError)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_any_other_answer_to_a_look_up_concerns_only_this_look_up(status: int) -> None:
    assert question_failure(HttpAnswer(status=status, body=b""), now=NOW, wait_max=timedelta(seconds=60)) is None


def test_a_cancel_request_is_taken_refused_or_unknown() -> None:
    assert canceled(204) == CancelTaken()
    for status, code, message in (
        (404, 40410000, "order not found for v1"),
        (422, 40010001, "order pending cancel"),
        (422, 42210000, 'order is already in "filled" state'),
    ):
        refused = canceled(status, complaint(message, code=code))
        assert isinstance(refused, CancelNotPossible)
        assert refused.reason.message == message
    for status in (302, 400, 401, 403, 404, 408, 422, 500, 503):
        assert isinstance(canceled(status, GATEWAY_PAGE), CancelUnknown)


def test_a_cancel_request_above_the_limit_is_sent_again_when_the_venue_allows_it() -> None:
    assert canceled(429, GATEWAY_PAGE, retry_after="9") == CancelPostponed(
        error="HTTP 429", retry_after=timedelta(seconds=9)
    )


def canceled(status: int, body: bytes = b"", **headers: str) -> CancelOutcome:
    """Return what an answer to a cancel request proves."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    answer = HttpAnswer(status=status, body=body, headers=named)
    return cancel_outcome(answer, now=NOW, wait_max=timedelta(seconds=60))


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 422])
@pytest.mark.parametrize("body", [*NOT_THE_VENUES, complaint("endpoint not found", code=40410000)])
def test_an_answer_that_is_not_the_venues_does_not_prove_that_a_cancel_is_impossible(status: int, body: bytes) -> None:
    assert isinstance(canceled(status, body), CancelUnknown)


def test_only_the_venues_own_answer_proves_that_it_does_not_have_the_order() -> None:
    absent = complaint("order not found for 01890a5d", code=40410000)

    assert proves_absence(HttpAnswer(status=404, body=absent))
    assert not any(proves_absence(HttpAnswer(status=status, body=absent)) for status in (200, 400, 403, 410, 422, 500))


@pytest.mark.parametrize(
    "body",
    [
        *NOT_THE_VENUES,
        complaint("endpoint not found", code=40410000),
        complaint("endpoint not found: /v2/orders", code=40410000),
        complaint("the order not found", code=40410000),
        complaint("position does not exist", code=40410000),
        complaint("order not found for x", code=40410001),
        b'{"message": "order not found for x"}',
        b'{"code": "40410000", "message": "order not found for x"}',
        b'{"code": 40410000, "message": null}',
    ],
)
def test_any_other_404_proves_no_absence(body: bytes) -> None:
    assert not proves_absence(HttpAnswer(status=404, body=body))


@pytest.mark.parametrize("times", [{"failed_at": "2026-01-05T08:00:01Z"}, {}])
def test_a_success_whose_order_is_rejected_proves_that_it_ended(times: dict[str, str]) -> None:
    body = orjson.loads(order_body()) | {"status": "rejected", "reject_reason": "no borrow"} | times

    found = outcome(200, orjson.dumps(body))

    assert isinstance(found, EndedAtOnce)
    assert (found.report.end, found.report.venue_order_id) == (End.REJECTED, "v1")
    assert found.report.reason == Reason(source=ReasonSource.VENUE, code="VENUE_REJECTED", message="no borrow")
