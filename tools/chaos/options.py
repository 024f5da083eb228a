"""The options of a run, and the command that repeats it."""

import argparse
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MINUTES_MAX = 600.0
SEED_MAX = 999_999
ORDERS_PER_SECOND = 300.0
SUBSCRIBERS = 300
SUBSCRIBERS_MAX = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for. `minutes` is how long the faults go on; start, calm and check come on top."""

    minutes: float
    seed: int
    orders_per_second: float
    subscribers: int
    history: Path | None
    naive: bool

    @property
    def storm_seconds(self) -> float:
        """How long faults are injected."""
        return self.minutes * 60

    @property
    def command(self) -> str:
        """The command that injects the same again."""
        words = [
            f"./dev chaos --minutes {self.minutes:g} --seed {self.seed}",
            f"--orders-per-second {self.orders_per_second:g} --subscribers {self.subscribers}",
        ]
        return " ".join(words + (["--naive"] if self.naive else []))


def read_options(arguments: Sequence[str]) -> Options:
    """The options of a command line; ends the program with a sentence when one is wrong."""
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--orders-per-second", type=float, default=ORDERS_PER_SECOND)
    parser.add_argument("--subscribers", type=int, default=SUBSCRIBERS)
    parser.add_argument("--history", type=Path, default=None)
    parser.add_argument("--naive", action="store_true")
    given = parser.parse_args(arguments)
    if not 0 < given.minutes <= MINUTES_MAX:
        parser.error(f"--minutes must be more than 0 and at most {MINUTES_MAX:g}")
    if given.orders_per_second <= 0:
        parser.error("--orders-per-second must be more than 0")
    if not 0 <= given.subscribers <= SUBSCRIBERS_MAX:
        parser.error(f"--subscribers must be from 0 to {SUBSCRIBERS_MAX}")
    return Options(
        minutes=given.minutes,
        seed=secrets.randbelow(SEED_MAX + 1) if given.seed is None else given.seed,
        orders_per_second=given.orders_per_second,
        subscribers=given.subscribers,
        history=given.history,
        naive=given.naive,
    )
