"""Says what repeats itself once: the first line at once, then a line with a count every so often, and one at its end.

In an outage the same thing happens to every order, up to a hundred times a second. What became of a single order is in
its history in the database and in the counters; its line is there at DEBUG.
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
CHECKS_PER_GATHERING = 4
QUIET_GATHERINGS = 3
"""A circuit that probes brings the same failure back every few seconds: that is not another outage."""
KINDS_MAX = 200
"""How many things may be followed at once; beyond, a warning's causes are not told apart, and errors all pass."""

_SUMMARIES = (REPEATED, REPEATS_ENDED)
# Ports, ids, durations: what differs within one cause. Three digits are an HTTP status, and stay.
_NUMBERS = re.compile(r"(?<![\w.-])(?!\d{3}\b)[\w.-]*\d[\w.-]*")

Kind = tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Repeat:
    """One thing that goes on: since when, and how often it happened, in all and since it was said last. The moments are
    seconds of a clock that never jumps."""

    event: str
    level: int
    since: datetime
    began_at: float
    said_at: float
    happened_at: float
    fields: Mapping[str, object]
    times: int = 1
    unsaid: int = 0


class Repeats(logging.Filter):
    """Lets the first line of its kind through and counts the others. `gather_seconds` is how often a count is said;
    what has not happened for QUIET_GATHERINGS times that is over.

    A warning's kind is its event and its cause; an error's is all that it says, since each may want a person. Facts of
    normal life pass, and what a person did (it has `by`): those lines are the audit trail. A library's kind is which
    line of it speaks; of its errors, also what it says. Libraries that warn of strangers are gathered at WARNING alone.

    An error whose id a client was told is never hidden: the first has its traceback, the others of its kind do not.
    """

    def __init__(
        self,
        *,
        gather_seconds: float,
        libraries: Sequence[str],
        warning_libraries: Sequence[str],
        shows_each: bool,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._clock = clock
        self._gather_seconds = gather_seconds
        self._libraries = tuple(libraries)
        self._warning_libraries = tuple(warning_libraries)
        self._shows_each = shows_each
        self._repeats: dict[Kind, Repeat] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written. At DEBUG each is, as a line of that level."""
        kind = self._kind(record)
        if kind is None or self._begins(kind, record, now=self._clock()):
            return True
        if isinstance(record.msg, dict) and "error_id" in record.msg:
            record.msg["error"] = repr(record.msg.pop("exc_info", None))
            return True
        if self._shows_each:
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            if isinstance(record.msg, dict):
                record.msg["level"] = "debug"
        return self._shows_each

    async def run(self) -> None:
        """Say what is due, until cancelled; then what has not been said yet."""
        try:
            while True:
                await asyncio.sleep(self._gather_seconds / CHECKS_PER_GATHERING)
                self.say()
        finally:
            self.say(is_last=True)

    def say(self, *, is_last: bool = False) -> None:
        """Write the lines that are due: what goes on, and what has ended. `is_last`: the process ends."""
        now = self._clock()
        logger: FilteringBoundLogger = structlog.get_logger("fillwire")
        for kind, repeat in list(self._repeats.items()):
            if now - repeat.happened_at >= QUIET_GATHERINGS * self._gather_seconds or is_last:
                del self._repeats[kind]
                if repeat.times > 1:
                    logger.log(repeat.level, REPEATED if is_last else REPEATS_ENDED, **_told(repeat))
            elif repeat.unsaid and now - repeat.said_at >= self._gather_seconds:
                logger.log(repeat.level, REPEATED, **_told(repeat))
                repeat.said_at, repeat.unsaid = now, 0

    def _kind(self, record: logging.LogRecord) -> Kind | None:
        if record.levelno < logging.WARNING:
            return None
        if isinstance(record.msg, dict):
            passes = record.msg.get("event") in _SUMMARIES or "by" in record.msg
            return None if passes else tuple(_kind_of_event(record.msg))
        return self._kind_of_library(record)

    def _kind_of_library(self, record: logging.LogRecord) -> Kind | None:
        place = (record.name, str(record.lineno))
        if record.levelno < logging.ERROR and record.name.startswith((*self._libraries, *self._warning_libraries)):
            return place
        if record.name.startswith(self._libraries):
            error = record.exc_info[1] if record.exc_info else None
            return (*place, _NUMBERS.sub("#", f"{record.getMessage()} {error!r}"))
        return None

    def _begins(self, kind: Kind, record: logging.LogRecord, *, now: float) -> bool:
        if kind not in self._repeats and len(self._repeats) >= KINDS_MAX:
            if record.levelno >= logging.ERROR:
                return True
            kind = kind[:1]
        repeat = self._repeats.get(kind)
        if repeat is not None:
            repeat.times += 1
            repeat.unsaid += 1
            repeat.happened_at = now
            return False
        fields = record.msg if isinstance(record.msg, dict) else {"event": record.getMessage(), "library": record.name}
        kept = (*CAUSE_FIELDS, "library", "next")
        self._repeats[kind] = Repeat(
            event=str(fields["event"]),
            level=record.levelno,
            since=datetime.fromtimestamp(record.created, UTC),
            began_at=now,
            said_at=now,
            happened_at=now,
            fields={name: fields[name] for name in kept if name in fields},
        )
        return True


@asynccontextmanager
async def telling_repeats(repeats: Repeats) -> AsyncIterator[None]:
    """Say inside the block what repeats itself, and at its end what is left to say."""
    task = asyncio.create_task(repeats.run())
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
        told_apart = sorted(fields.keys() - {"event", "timestamp", "error_id", "exc_info"})
        yield from (f"{name}={fields[name]}" for name in told_apart)
        yield _raised(fields.get("exc_info"))


def _raised(error: object) -> str:
    """What was raised and where; its text may be a stranger's."""
    if not isinstance(error, BaseException):
        return ""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    place = f"{frames[-1].f_code.co_filename}:{frames[-1].f_code.co_firstlineno}" if frames else ""
    return f"{type(error).__name__} {place}"


def _told(repeat: Repeat) -> dict[str, object]:
    return {
        "of": repeat.event,
        "times": repeat.times,
        "since": repeat.since.isoformat(timespec="seconds"),
        "lasted_seconds": round(repeat.happened_at - repeat.began_at, 1),
        **repeat.fields,
    }
