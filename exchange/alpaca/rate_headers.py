"""The venue's announced limit of requests in an answer. Pure.

`X-RateLimit-Limit`, `-Remaining` and `-Reset` (epoch seconds by the venue's clock) are in every answer, and perhaps
`Retry-After` (seconds, or an HTTP date) in a 429.
"""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from math import isfinite

from domain.model.rate_budget import RateAnnouncement
from exchange.alpaca.http_answer import HttpAnswer

RATE_LIMIT_WAIT_MIN = timedelta(seconds=1)
LIMIT_MAX = 1_000_000
LIMIT_HEADER = "x-ratelimit-limit"
REMAINING_HEADER = "x-ratelimit-remaining"
RESET_HEADER = "x-ratelimit-reset"


def announcement_of(answer: HttpAnswer, *, now: datetime, wait_max: timedelta) -> RateAnnouncement | None:
    """Return the limit that the answer announces; None when it announces none, or one that cannot be read.
    `wait_max` bounds the time until its reset.
    """
    limit = _whole(answer, LIMIT_HEADER)
    if limit is None or not 0 < limit <= LIMIT_MAX:
        return None
    remaining, reset = _whole(answer, REMAINING_HEADER), _number(answer, RESET_HEADER)
    if remaining is None or reset is None:
        return RateAnnouncement(limit=limit)
    resets_in = reset - _venue_time(answer, now=now).timestamp()
    return RateAnnouncement(
        limit=limit,
        remaining=min(max(remaining, 0), limit),
        reset=reset,
        resets_in_seconds=min(max(resets_in, 0.0), wait_max.total_seconds()),
    )


def has_limit_header(answer: HttpAnswer) -> bool:
    """Return whether the answer has a header of the venue's limiter. Common gateways use other names."""
    return any(name in answer.headers for name in (LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER))


def retry_after(answer: HttpAnswer, *, now: datetime, wait_max: timedelta) -> timedelta:
    """Return the pause that a 429 requests, by the venue's own clock: the longer of its two headers, one second at
    least and `wait_max` at most.
    """
    venue_time = _venue_time(answer, now=now)
    waits = [RATE_LIMIT_WAIT_MIN.total_seconds(), _retry_after_seconds(answer, venue_time)]
    reset = _number(answer, RESET_HEADER)
    if reset is not None:
        waits.append(reset - venue_time.timestamp())
    return timedelta(seconds=min(max(waits), wait_max.total_seconds()))


def shown_time(answer: HttpAnswer) -> datetime | None:
    """Return the venue's time of its answer, in whole seconds (RFC 9110); None when the answer does not have it."""
    return _moment(answer, "date")


def _retry_after_seconds(answer: HttpAnswer, venue_time: datetime) -> float:
    seconds = _number(answer, "retry-after")
    if seconds is not None:
        return seconds
    moment = _moment(answer, "retry-after")
    return 0.0 if moment is None else (moment - venue_time).total_seconds()


def _venue_time(answer: HttpAnswer, *, now: datetime) -> datetime:
    """Return the venue's clock where the answer has it, since ours may differ by more than the wait."""
    return shown_time(answer) or now


def _moment(answer: HttpAnswer, name: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(answer.headers[name])
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):  # It raises each of them for some text.
        return None
    return moment if moment.tzinfo is not None else None


def _number(answer: HttpAnswer, name: str) -> float | None:
    try:
        number = float(answer.headers[name])
    except (KeyError, ValueError):
        return None
    return number if isfinite(number) else None


def _whole(answer: HttpAnswer, name: str) -> int | None:
    number = _number(answer, name)
    return None if number is None else int(number)
