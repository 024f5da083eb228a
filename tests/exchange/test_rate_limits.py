"""What every caller of the venue does about its limit of requests, and about a key that it refuses."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import web

from domain.model.errors import RequestHeldBackError, VenueUnreachableError
from domain.model.rate_budget import RateAnnouncement, RequestPriority
from domain.ports.venue_outcomes import CancelPostponed, CancelUnknown, OutcomeUnknown, RateLimited
from exchange.alpaca.http_answer import HttpAnswer
from exchange.alpaca.rate_headers import announcement_of
from exchange.alpaca.rest import AlpacaVenue, open_alpaca_venue
from tests.exchange.test_transport import NAME, NOW, ORDER, TERMS, Handler, answering, serving, settings
from tests.support.fakes.installation import FixedInstallation
from tests.support.fakes.telemetry import RecordingTelemetry

MINUTE = timedelta(seconds=60)
LIMITED = {
    "X-RateLimit-Limit": "200",
    "X-RateLimit-Remaining": "17",
    "X-RateLimit-Reset": str(int(NOW.timestamp()) + 7),
    "Date": "Mon, 05 Jan 2026 08:00:00 GMT",
}
ANNOUNCED = RateAnnouncement(limit=200, remaining=17, reset=NOW.timestamp() + 7, resets_in_seconds=7)

Call = Callable[[AlpacaVenue], Awaitable[object]]
CALLS: dict[str, tuple[RequestPriority, Call]] = {
    "submission": (RequestPriority.SUBMIT, lambda venue: venue.submit(NAME, TERMS)),
    "cancel": (RequestPriority.CANCEL, lambda venue: venue.cancel("v1")),
    "look-up": (RequestPriority.LOOK_UP, lambda venue: venue.find(NAME)),
    "look-up by the venue's id": (RequestPriority.LOOK_UP, lambda venue: venue.find_by_venue_order_id("v1")),
    "open orders": (RequestPriority.CATCH_UP, lambda venue: venue.open_orders()),
    "fills": (RequestPriority.CATCH_UP, lambda venue: anext(aiter(venue.fills(since=NOW)))),
    "instruments": (RequestPriority.CATCH_UP, lambda venue: venue.instruments()),
}
every_caller = pytest.mark.parametrize(("priority", "call"), CALLS.values(), ids=CALLS.keys())


@dataclass(slots=True)
class RecordingLimiter:
    """RateLimiter that records calls; with `held_back` it refuses all."""

    held_back: timedelta | None = None
    asked: list[RequestPriority] = field(default_factory=list)
    announced: list[RateAnnouncement | None] = field(default_factory=list)
    pauses: list[timedelta] = field(default_factory=list)

    async def acquire(self, priority: RequestPriority) -> None:
        self.asked.append(priority)
        if self.held_back is not None:
            raise RequestHeldBackError("nothing is left", retry_after=self.held_back)

    def held_for(self, priority: RequestPriority) -> timedelta:  # noqa: ARG002 - the port's shape
        return self.held_back or timedelta(0)

    def observe(self, announcement: RateAnnouncement | None) -> None:
        self.announced.append(announcement)

    async def pause(self, *, wait: timedelta, error: str) -> None:  # noqa: ARG002 - the port's shape
        self.pauses.append(wait)


@dataclass(slots=True)
class Reached:
    """The venue, its log events, and the limiter in front of it."""

    venue: AlpacaVenue
    limiter: RecordingLimiter
    telemetry: RecordingTelemetry

    async def result(self, call: Call) -> object:
        """Return the outcome of a call: its result or its error."""
        try:
            return await call(self.venue)
        except VenueUnreachableError as error:
            return error


@asynccontextmanager
async def reaching(handler: Handler, *, held_back: timedelta | None = None) -> AsyncIterator[Reached]:
    limiter, telemetry = RecordingLimiter(held_back), RecordingTelemetry()
    async with (
        serving(handler) as url,
        open_alpaca_venue(
            settings(url), installation=FixedInstallation(), clock=lambda: NOW, telemetry=telemetry, limiter=limiter
        ) as venue,
    ):
        yield Reached(venue, limiter, telemetry)


@every_caller
async def test_every_caller_acquires_first_and_stores_the_limit_in_the_answer(
    priority: RequestPriority, call: Call
) -> None:
    async with reaching(answering(lambda: web.json_response(ORDER, headers=LIMITED))) as reached:
        await reached.result(call)

    asked_before = priority is RequestPriority.SUBMIT  # By the service, which checks for a halt after the wait.
    assert reached.limiter.asked == ([] if asked_before else [priority])
    assert reached.limiter.announced == [ANNOUNCED]
    assert reached.limiter.pauses == []


@every_caller
@pytest.mark.parametrize(
    "headers", [{"Retry-After": "9"}, {**LIMITED, "X-RateLimit-Reset": str(int(NOW.timestamp()) + 9)}]
)
async def test_a_429_to_any_caller_pauses_all_for_the_requested_time(
    priority: RequestPriority, call: Call, headers: dict[str, str]
) -> None:
    async with reaching(answering(lambda: web.Response(status=429, headers=headers))) as reached:
        result = await reached.result(call)

    reported = timedelta(seconds=9)
    assert reached.limiter.pauses == [reported]
    match priority:
        case RequestPriority.SUBMIT:
            is_venues = "X-RateLimit-Reset" in headers
            unknown = OutcomeUnknown(error="HTTP 429", retry_after=reported)
            assert result == (RateLimited(retry_after=reported) if is_venues else unknown)
        case RequestPriority.CANCEL:
            assert result == CancelPostponed(error="HTTP 429", retry_after=reported)
        case _:
            assert getattr(result, "retry_after", None) == reported


@pytest.mark.parametrize(("priority", "call"), [one for one in CALLS.values() if one[0] is not RequestPriority.SUBMIT])
async def test_a_request_that_is_held_back_is_not_made(priority: RequestPriority, call: Call) -> None:
    requests = list[str]()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        requests.append(request.path)
        return web.Response(status=500)

    wait = timedelta(seconds=12)
    async with reaching(answer, held_back=wait) as reached:
        result = await reached.result(call)

    assert requests == []
    if priority is RequestPriority.CANCEL:
        assert result == CancelPostponed(error="nothing is left", retry_after=wait)
    else:
        assert isinstance(result, RequestHeldBackError)


@every_caller
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"message": "unauthorized."}'),
        (401, b"<html>401 Authorization Required</html>"),
        (401, b'{"code": 40110000, "message": "request is unauthorized"}'),
        (403, b'{"message": "forbidden."}'),
        (403, b'{"message": "access denied"}'),
        (403, b"<html>403 Forbidden</html>"),
    ],
)
async def test_a_401_or_a_403_without_a_code_to_any_caller_is_alerted(
    priority: RequestPriority, call: Call, status: int, body: bytes
) -> None:
    async with reaching(answering(lambda: web.Response(status=status, body=body))) as reached:
        result = await reached.result(call)

    (reported,) = reached.telemetry.said("venue_unauthorized")
    assert f"HTTP {status}" in str(reported["error"])
    assert priority is not RequestPriority.CANCEL or isinstance(result, CancelUnknown)


@every_caller
@pytest.mark.parametrize("status", [200, 403, 404, 422, 500, 503])
async def test_any_other_answer_proves_nothing_about_the_key(
    priority: RequestPriority,  # noqa: ARG001 - of the table
    call: Call,
    status: int,
) -> None:
    answer = answering(lambda: web.json_response({"code": 40310000, "message": "no"}, status=status))
    async with reaching(answer) as reached:
        await reached.result(call)

    assert not reached.telemetry.said("venue_unauthorized")
    assert reached.limiter.pauses == []


@pytest.mark.parametrize(
    ("status", "headers", "announced"),
    [
        (200, {}, [None]),
        (404, {}, []),
        (503, {}, []),
        (200, {"X-RateLimit-Limit": "0"}, []),
        (200, {"X-RateLimit-Limit": "many"}, []),
        (404, LIMITED, [ANNOUNCED]),
        (502, LIMITED, []),
    ],
)
async def test_only_the_venue_itself_announces_a_limit_or_its_absence_and_not_a_gateway(
    status: int, headers: dict[str, str], announced: list[RateAnnouncement | None]
) -> None:
    async with reaching(answering(lambda: web.json_response(ORDER, status=status, headers=headers))) as reached:
        await reached.result(lambda venue: venue.find(NAME))

    assert reached.limiter.announced == announced


@pytest.mark.parametrize(
    ("headers", "announced"),
    [
        ({}, None),
        ({"x-ratelimit-limit": "many"}, None),
        ({"x-ratelimit-limit": "0"}, None),
        ({"x-ratelimit-limit": "nan"}, None),
        ({"x-ratelimit-limit": "9" * 400}, None),
        ({"x-ratelimit-limit": "200"}, RateAnnouncement(limit=200)),
        ({"x-ratelimit-limit": "200", "x-ratelimit-remaining": "5"}, RateAnnouncement(limit=200)),
    ],
)
def test_a_limit_that_cannot_be_read_is_none(headers: dict[str, str], announced: RateAnnouncement | None) -> None:
    answer = HttpAnswer(status=200, body=b"", headers=headers)

    assert announcement_of(answer, now=NOW, wait_max=MINUTE) == announced


def test_a_reset_that_is_too_far_away_or_over_is_bounded() -> None:
    def resets_in(reset: float) -> float:
        headers = {"x-ratelimit-limit": "9", "x-ratelimit-remaining": "-3", "x-ratelimit-reset": str(reset)}
        announced = announcement_of(HttpAnswer(status=200, body=b"", headers=headers), now=NOW, wait_max=MINUTE)
        assert announced is not None
        assert announced.remaining == 0
        return announced.resets_in_seconds

    assert resets_in(NOW.timestamp() + 86_400) == 60
    assert resets_in(NOW.timestamp() - 86_400) == 0


@pytest.mark.parametrize("remaining", ["1e30", str(2**70), "201"])
def test_what_remains_is_never_more_than_the_limit(remaining: str) -> None:
    headers = {"x-ratelimit-limit": "200", "x-ratelimit-remaining": remaining, "x-ratelimit-reset": "9"}

    announced = announcement_of(HttpAnswer(status=200, body=b"", headers=headers), now=NOW, wait_max=MINUTE)

    assert announced is not None
    assert announced.remaining == 200


NO_SUCH_TIME = "Mon, 05 Jan 99999999999999999999 08:00:00 GMT"


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize(
    "headers",
    [
        {"Date": NO_SUCH_TIME},
        {"Retry-After": NO_SUCH_TIME},
        {"Retry-After": "Mon, 05 Jan 2026 08:00:00 +99999999999999999999"},
        {"Retry-After": "1e308"},
    ],
)
@every_caller
async def test_a_time_that_does_not_exist_in_a_header_fails_no_call(
    priority: RequestPriority,  # noqa: ARG001 - of the table
    call: Call,
    headers: dict[str, str],
    status: int,
) -> None:
    async with reaching(
        answering(lambda: web.json_response(ORDER, status=status, headers=LIMITED | headers))
    ) as reached:
        await reached.result(call)

    assert len(reached.limiter.pauses) == (status == 429)
