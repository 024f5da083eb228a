"""Throttles events that repeat: the first line is written, then a line with a count every so often, and one at the end.

In an outage the same thing happens to every order, up to a hundred times a second. What became of a single order is in
its history in the database and in the counters; its line is written at DEBUG.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from traceback import walk_tb

import structlog
from structlog.typing import FilteringBoundLogger

REPEATED = "repeated"
REPEATS_ENDED = "repeats_ended"
CAUSE_FIELDS = ("cause", "error", "reason", "job", "loop")
CHECKS_PER_SUMMARY = 4
QUIET_SUMMARIES = 3
"""A circuit breaker that probes repeats the same failure every few seconds: that is not another outage."""
KINDS_MAX = 200
"""How many kinds are counted at once; beyond, a warning's kind is its event alone, and every error is written."""

_SUMMARIES = (REPEATED, REPEATS_ENDED)
# Ports, ids, durations: what differs within one cause. Three digits are an HTTP status, and stay.
_NUMBERS = re.compile(r"(?<![\w.-])(?!\d{3}\b)[\w.-]*\d[\w.-]*")

Kind = tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class RepeatedEvent:
    """One kind of line that repeats: since when, and how often, in all and since the last summary.

    The moments are seconds of a monotonic clock.
    """

    event: str
    level: int
    since: datetime
    began_at: float
    written_at: float
    repeated_at: float
    fields: Mapping[str, object]
    times: int = 1
    unwritten: int = 0


class LogThrottle(logging.Filter):
    """A filter that passes the first line of each kind and counts the others.

    Every `summary_seconds` a count is written; a kind ends when it has not repeated for QUIET_SUMMARIES times that.

    A warning's kind is its event and its cause; an error's kind is all of its fields, since each may need a person.
    INFO passes, and so do actions of operators (with `by`): those lines are the audit trail. A library's kind is the
    line of code that logs; for its errors, the text too. Of `client_libraries`, which warn about input of clients, only
    warnings are throttled.

    An error whose id was returned to a client is always written: the first has its traceback, the others of its kind do
    not.
    """

    def __init__(
        self,
        *,
        summary_seconds: float,
        libraries: Sequence[str],
        client_libraries: Sequence[str],
        writes_each: bool,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._clock = clock
        self._summary_seconds = summary_seconds
        self._libraries = tuple(libraries)
        self._client_libraries = tuple(client_libraries)
        self._writes_each = writes_each
        self._events: dict[Kind, RepeatedEvent] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written. At DEBUG every line is, as a line of that level."""
        kind = self._kind(record)
        if kind is None or self._is_first(kind, record, now=self._clock()):
            return True
        if isinstance(record.msg, dict) and "error_id" in record.msg:
            record.msg["error"] = repr(record.msg.pop("exc_info", None))
            return True
        if self._writes_each:
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            if isinstance(record.msg, dict):
                record.msg["level"] = "debug"
        return self._writes_each

    async def run(self) -> None:
        """Write summaries when they are due, until cancelled; then the remaining ones."""
        try:
            while True:
                await asyncio.sleep(self._summary_seconds / CHECKS_PER_SUMMARY)
                self.write_summaries()
        finally:
            self.write_summaries(is_last=True)

    def write_summaries(self, *, is_last: bool = False) -> None:
        """Write the summaries that are due, and of what has ended. `is_last`: the process ends."""
        now = self._clock()
        logger: FilteringBoundLogger = structlog.get_logger("fillwire")
        for kind, repeated in list(self._events.items()):
            if now - repeated.repeated_at >= QUIET_SUMMARIES * self._summary_seconds or is_last:
                del self._events[kind]
                if repeated.times > 1:
                    logger.log(repeated.level, REPEATED if is_last else REPEATS_ENDED, **_summary(repeated))
            elif repeated.unwritten and now - repeated.written_at >= self._summary_seconds:
                logger.log(repeated.level, REPEATED, **_summary(repeated))
                repeated.written_at, repeated.unwritten = now, 0

    def _kind(self, record: logging.LogRecord) -> Kind | None:
        if record.levelno < logging.WARNING:
            return None
        if isinstance(record.msg, dict):
            passes = record.msg.get("event") in _SUMMARIES or "by" in record.msg
            return None if passes else tuple(_kind_of_event(record.msg))
        return self._kind_of_library(record)

    def _kind_of_library(self, record: logging.LogRecord) -> Kind | None:
        place = (record.name, str(record.lineno))
        if record.levelno < logging.ERROR and record.name.startswith((*self._libraries, *self._client_libraries)):
            return place
        if record.name.startswith(self._libraries):
            error = record.exc_info[1] if record.exc_info else None
            return (*place, _NUMBERS.sub("#", f"{record.getMessage()} {error!r}"))
        return None

    def _is_first(self, kind: Kind, record: logging.LogRecord, *, now: float) -> bool:
        if kind not in self._events and len(self._events) >= KINDS_MAX:
            if record.levelno >= logging.ERROR:
                return True
            kind = kind[:1]
        repeated = self._events.get(kind)
        if repeated is not None:
            repeated.times += 1
            repeated.unwritten += 1
            repeated.repeated_at = now
            return False
        fields = record.msg if isinstance(record.msg, dict) else {"event": record.getMessage(), "library": record.name}
        kept = (*CAUSE_FIELDS, "library", "next")
        self._events[kind] = RepeatedEvent(
            event=str(fields["event"]),
            level=record.levelno,
            since=datetime.fromtimestamp(record.created, UTC),
            began_at=now,
            written_at=now,
            repeated_at=now,
            fields={name: fields[name] for name in kept if name in fields},
        )
        return True


@asynccontextmanager
async def throttling(throttle: LogThrottle) -> AsyncIterator[None]:
    """Write summaries inside the block, and the remaining ones at its end."""
    task = asyncio.create_task(throttle.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _kind_of_event(fields: Mapping[str, object]) -> Iterator[str]:
    yield str(fields["event"])
    if fields.get("level") == "warning":
        for name in CAUSE_FIELDS:
            yield _NUMBERS.sub("#", str(fields.get(name, "")))
    else:
        identity = sorted(fields.keys() - {"event", "timestamp", "error_id", "request_id", "exc_info"})
        yield from (f"{name}={fields[name]}" for name in identity)
        yield _raised(fields.get("exc_info"))


def _raised(error: object) -> str:
    """Return what was raised and where, without its text, which a client may have chosen."""
    if not isinstance(error, BaseException):
        return ""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    place = f"{frames[-1].f_code.co_filename}:{frames[-1].f_code.co_firstlineno}" if frames else ""
    return f"{type(error).__name__} {place}"


def _summary(repeated: RepeatedEvent) -> dict[str, object]:
    return {
        "of": repeated.event,
        "times": repeated.times,
        "since": repeated.since.isoformat(timespec="seconds"),
        "lasted_seconds": round(repeated.repeated_at - repeated.began_at, 1),
        **repeated.fields,
    }
