"""What is injected and when, by seed alone. Pure: the same seed and length give the same faults.

Kinds are dealt from a deck that holds each as often as its weight, so that a run of a minute sees every kind.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

PAUSE_BETWEEN_MIN_SECONDS = 0.3
PAUSE_BETWEEN_MAX_SECONDS = 2.0

APIS = ("api-1", "api-2")
WORKERS = ("worker-1", "worker-2")
INGESTS = ("ingest-1", "ingest-2")
PROCESSES = (*APIS, *WORKERS, *INGESTS)

CRASH_POINTS: Mapping[str, Sequence[str]] = {
    "commit": APIS,
    "wake_up": APIS,
    "publish": PROCESSES,
    "claim": WORKERS,
    "send": WORKERS,
    "answer": WORKERS,
    "apply": (*WORKERS, *INGESTS),
}
"""The crash points, and the processes that come by them."""


class Kind(StrEnum):
    """Every kind of fault, in the words of the report."""

    KILLED = "process killed"
    PAUSED = "process paused beyond its lease"
    CRASHED = "process armed with a crash point"
    STOPPED = "process stopped by SIGTERM"
    ROLLED = "rolling restart of all processes"
    CLOCK_OFF = "worker's clock an hour off"
    VALKEY_EMPTIED = "Valkey killed and emptied"
    VALKEY_PAUSED = "Valkey paused"
    POSTGRES_RESTARTED = "PostgreSQL restarted in immediate mode"
    SESSIONS_ENDED = "PostgreSQL's connections terminated"
    VENUE_AMBIGUOUS = "exchange accepts and does not say so"
    VENUE_ERRORS = "exchange answers 5xx"
    VENUE_SLOW = "exchange slower than the time-out"
    VENUE_DOWN = "exchange down"
    VENUE_HIDING = "exchange hides fresh orders"
    STREAM_CUT = "stream cut"
    STREAM_MUTE = "stream mute"
    STREAM_DROPPING = "stream drops"
    STREAM_DOUBLING = "stream doubles"
    STREAM_REORDERING = "stream reorders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One fault: when (seconds since the storm began), what, upon whom, for how long, at which crash point."""

    at: float
    kind: Kind
    target: str = ""
    seconds: float = 0.0
    point: str = ""


def make_schedule(*, seed: int, seconds: float) -> Sequence[Injection]:
    """Every fault of a storm of that length."""
    random = Random(f"{seed}:nemesis")
    kinds = _deal(random)
    at, injections = 0.0, []
    while (at := at + random.uniform(PAUSE_BETWEEN_MIN_SECONDS, PAUSE_BETWEEN_MAX_SECONDS)) < seconds:
        kind = next(kinds)
        target, point = _target(kind, random)
        low, high = _SECONDS.get(kind, (0.0, 0.0))
        injections.append(
            Injection(
                at=round(at, 3), kind=kind, target=target, seconds=round(random.uniform(low, high), 3), point=point
            )
        )
    return injections


_WEIGHTS: Mapping[Kind, int] = {
    Kind.KILLED: 6,
    Kind.PAUSED: 3,
    Kind.CRASHED: 6,
    Kind.STOPPED: 2,
    Kind.ROLLED: 1,
    Kind.CLOCK_OFF: 1,
    Kind.VALKEY_EMPTIED: 2,
    Kind.VALKEY_PAUSED: 2,
    Kind.POSTGRES_RESTARTED: 1,
    Kind.SESSIONS_ENDED: 1,
    Kind.VENUE_AMBIGUOUS: 3,
    Kind.VENUE_ERRORS: 1,
    Kind.VENUE_SLOW: 1,
    Kind.VENUE_DOWN: 1,
    Kind.VENUE_HIDING: 2,
    Kind.STREAM_CUT: 3,
    Kind.STREAM_MUTE: 2,
    Kind.STREAM_DROPPING: 2,
    Kind.STREAM_DOUBLING: 2,
    Kind.STREAM_REORDERING: 2,
}
_SECONDS: Mapping[Kind, tuple[float, float]] = {
    Kind.PAUSED: (6.5, 8.5),  # The lease of the arena is 6 s.
    Kind.CRASHED: (6.0, 9.0),  # How long the crash point may stay armed.
    Kind.CLOCK_OFF: (5.0, 10.0),
    Kind.VALKEY_PAUSED: (0.5, 4.0),
    Kind.VENUE_AMBIGUOUS: (1.0, 4.0),
    Kind.VENUE_ERRORS: (1.0, 3.0),
    Kind.VENUE_SLOW: (1.5, 3.0),
    Kind.VENUE_DOWN: (0.5, 2.5),
    Kind.VENUE_HIDING: (2.0, 5.0),
    Kind.STREAM_CUT: (0.0, 2.0),
    Kind.STREAM_MUTE: (1.0, 4.0),
    Kind.STREAM_DROPPING: (1.0, 4.0),
    Kind.STREAM_DOUBLING: (1.0, 4.0),
    Kind.STREAM_REORDERING: (1.0, 4.0),
}


def _deal(random: Random) -> Iterator[Kind]:
    while True:
        deck = [kind for kind, weight in _WEIGHTS.items() for _ in range(weight)]
        random.shuffle(deck)
        yield from deck


def _target(kind: Kind, random: Random) -> tuple[str, str]:
    choose: Callable[[Sequence[str]], str] = random.choice
    match kind:
        case Kind.CRASHED:
            point = choose(tuple(CRASH_POINTS))
            return choose(CRASH_POINTS[point]), point
        case Kind.KILLED | Kind.PAUSED | Kind.STOPPED:
            return choose(PROCESSES), ""
        case Kind.CLOCK_OFF:
            return choose(WORKERS), ""
        case _:
            return "", ""
