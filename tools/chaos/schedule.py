"""The injected faults and their times, by seed. Pure: the same seed and length have the same faults.

Kinds are dealt from a deck that contains each as often as its weight, so that a run of a minute has every kind.
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
    """Every kind of fault, as named in the report."""

    KILLED = "process killed"
    PAUSED = "process paused beyond its lease"
    PAUSED_BRIEFLY = "process paused for less than half its lease"
    CRASHED = "process armed with a crash point"
    STOPPED = "process stopped by SIGTERM"
    ROLLED = "rolling restart of all processes"
    CLOCK_OFF = "process's clock an hour off"
    VALKEY_EMPTIED = "Valkey killed and emptied"
    VALKEY_PAUSED = "Valkey paused"
    POSTGRES_RESTARTED = "PostgreSQL restarted in immediate mode"
    SESSIONS_ENDED = "PostgreSQL's connections terminated"
    VENUE_AMBIGUOUS = "exchange accepts without an answer"
    VENUE_ERRORS = "exchange answers 5xx"
    VENUE_SLOW = "exchange slower than the time-out"
    VENUE_DOWN = "exchange down"
    VENUE_HIDING = "exchange hides fresh orders"
    EXCHANGE_RESTARTED = "exchange restarted"
    GATEWAY_SUBMISSIONS = "gateway answers submissions that were not executed"
    GATEWAY_LOST_SUBMISSIONS = "gateway answers submissions that were executed"
    GATEWAY_LOOK_UPS = "answers to submissions lost, gateway answers look-ups"
    GATEWAY_CANCELS = "gateway answers cancels"
    GATEWAY_SILENCE = "answers to submissions lost, look-ups say endpoint not found"
    LISTING_LATE = "exchange lists fills late"
    CANCELS_PENDING = "exchange leaves cancels pending"
    DAY_ENDED = "trading day ended"
    ACCOUNTS_HALTED = "accounts halted and resumed"
    STREAM_CUT = "stream cut"
    STREAM_MUTE = "stream mute"
    STREAM_DROPPING = "stream drops"
    STREAM_DOUBLING = "stream doubles"
    STREAM_REORDERING = "stream reorders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One fault: time (seconds since the start of the faults), kind, target, duration, crash point."""

    at: float
    kind: Kind
    target: str = ""
    seconds: float = 0.0
    point: str = ""


def make_schedule(*, seed: int, seconds: float, has_id_check: bool = True) -> Sequence[Injection]:
    """Return every fault of a run of that length.

    Where the exchange does not check client order ids, no process is paused beyond half its lease: a request that it
    sends after that could create a second order.
    """
    random = Random(f"{seed}:nemesis")
    kinds = _deal(random)
    at, injections = 0.0, []
    while (at := at + random.uniform(PAUSE_BETWEEN_MIN_SECONDS, PAUSE_BETWEEN_MAX_SECONDS)) < seconds:
        kind = next(kinds)
        if kind is Kind.PAUSED and not has_id_check:
            kind = Kind.PAUSED_BRIEFLY
        target, point = _target(kind, random)
        low, high = _SECONDS.get(kind, (0.0, 0.0))
        injections.append(
            Injection(
                at=round(at, 3), kind=kind, target=target, seconds=round(random.uniform(low, high), 3), point=point
            )
        )
    return injections


def make_offsets(*, seed: int, seconds_max: float) -> Mapping[str, float]:
    """Return by how many seconds the clock of the exchange and of each process is off: at least a third of the most."""
    random = Random(f"{seed}:clocks")
    names = ("exchange", *PROCESSES)
    return {name: random.choice((-1, 1)) * random.uniform(seconds_max / 3, seconds_max) for name in names}


_WEIGHTS: Mapping[Kind, int] = {
    Kind.KILLED: 4,
    Kind.PAUSED: 3,
    Kind.PAUSED_BRIEFLY: 1,
    Kind.CRASHED: 5,
    Kind.STOPPED: 1,
    Kind.ROLLED: 1,
    Kind.CLOCK_OFF: 1,
    Kind.VALKEY_EMPTIED: 1,
    Kind.VALKEY_PAUSED: 1,
    Kind.POSTGRES_RESTARTED: 1,
    Kind.SESSIONS_ENDED: 1,
    Kind.VENUE_AMBIGUOUS: 2,
    Kind.VENUE_ERRORS: 1,
    Kind.VENUE_SLOW: 1,
    Kind.VENUE_DOWN: 1,
    Kind.VENUE_HIDING: 2,
    Kind.EXCHANGE_RESTARTED: 1,
    Kind.GATEWAY_SUBMISSIONS: 1,
    Kind.GATEWAY_LOST_SUBMISSIONS: 2,
    Kind.GATEWAY_LOOK_UPS: 1,
    Kind.GATEWAY_CANCELS: 2,
    Kind.GATEWAY_SILENCE: 1,
    Kind.LISTING_LATE: 1,
    Kind.CANCELS_PENDING: 1,
    Kind.DAY_ENDED: 2,
    Kind.ACCOUNTS_HALTED: 2,
    Kind.STREAM_CUT: 2,
    Kind.STREAM_MUTE: 1,
    Kind.STREAM_DROPPING: 1,
    Kind.STREAM_DOUBLING: 1,
    Kind.STREAM_REORDERING: 1,
}
_SECONDS: Mapping[Kind, tuple[float, float]] = {
    Kind.PAUSED: (6.5, 8.5),  # The lease of the arena is 6 s.
    Kind.PAUSED_BRIEFLY: (1.0, 2.5),
    Kind.CRASHED: (6.0, 9.0),  # How long the crash point may stay armed.
    Kind.CLOCK_OFF: (5.0, 10.0),
    Kind.VALKEY_PAUSED: (0.5, 4.0),
    Kind.VENUE_AMBIGUOUS: (1.0, 4.0),
    Kind.VENUE_ERRORS: (1.0, 3.0),
    Kind.VENUE_SLOW: (1.5, 3.0),
    Kind.VENUE_DOWN: (0.5, 2.5),
    Kind.VENUE_HIDING: (2.0, 5.0),
    Kind.GATEWAY_SUBMISSIONS: (1.5, 4.0),
    Kind.GATEWAY_LOST_SUBMISSIONS: (2.5, 5.0),
    Kind.GATEWAY_LOOK_UPS: (3.0, 6.0),
    Kind.GATEWAY_CANCELS: (3.0, 6.0),
    Kind.GATEWAY_SILENCE: (3.0, 6.0),
    Kind.LISTING_LATE: (2.0, 4.0),  # So long, and by as much: less than the overlap of catch-ups.
    Kind.CANCELS_PENDING: (2.0, 6.0),
    Kind.ACCOUNTS_HALTED: (2.0, 4.0),
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
        case Kind.KILLED | Kind.PAUSED | Kind.PAUSED_BRIEFLY | Kind.STOPPED | Kind.CLOCK_OFF:
            return choose(PROCESSES), ""
        case _:
            return "", ""
