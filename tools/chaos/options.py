"""The options of a run, and the command that repeats it."""

import argparse
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.chaos.sabotage import SABOTAGES

MINUTES_MAX = 600.0
SEED_MAX = 999_999
ORDERS_PER_SECOND = 300.0
SUBSCRIBERS = 300
SUBSCRIBERS_MAX = 5_000
HABITS_MAX = 10.0
SKEW_SECONDS = 90.0
SKEW_MAX_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The requested options. `minutes` is the duration of the faults; start, quiet phase and check are additional.

    `habits` multiplies the rates of the exchange's own actions, such as busts, and `skew` is the highest offset of the
    clocks of the processes and of the exchange, in seconds.
    """

    minutes: float
    seed: int
    orders_per_second: float
    subscribers: int
    history: Path | None
    naive: bool
    sabotage: str | None
    has_id_check: bool
    habits: float
    skew: float

    @property
    def must_violate(self) -> bool:
        """Return whether a rule is broken on purpose, so that a run without a violation proves nothing."""
        return self.naive or self.sabotage is not None

    @property
    def worker(self) -> Sequence[str]:
        """Return the interpreter's arguments that start a worker."""
        if self.sabotage is not None:
            return ["-m", "tools.chaos.sabotage", self.sabotage]
        return ["-m", "tools.chaos.naive"] if self.naive else ["-m", "tools.chaos.skewed_process", "worker"]

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
        words += [] if self.habits == 1 else [f"--habits {self.habits:g}"]
        words += [] if self.skew == SKEW_SECONDS else [f"--skew-seconds {self.skew:g}"]
        words += [] if self.has_id_check else ["--no-id-check"]
        words += ["--naive"] if self.naive else []
        words += [] if self.sabotage is None else [f"--sabotage {self.sabotage}"]
        return " ".join(words)


def read_options(arguments: Sequence[str]) -> Options:
    """Return the options of a command line; end the program with a sentence when one is wrong."""
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--orders-per-second", type=float, default=ORDERS_PER_SECOND)
    parser.add_argument("--subscribers", type=int, default=SUBSCRIBERS)
    parser.add_argument("--history", type=Path, default=None)
    parser.add_argument("--no-id-check", action="store_false", dest="has_id_check")
    parser.add_argument("--habits", type=float, default=1.0)
    parser.add_argument("--skew-seconds", type=float, default=SKEW_SECONDS, dest="skew")
    broken = parser.add_mutually_exclusive_group()
    broken.add_argument("--naive", action="store_true")
    broken.add_argument("--sabotage", choices=sorted(SABOTAGES), default=None)
    given = parser.parse_args(arguments)
    if not 0 < given.minutes <= MINUTES_MAX:
        parser.error(f"--minutes must be more than 0 and at most {MINUTES_MAX:g}")
    if given.orders_per_second <= 0:
        parser.error("--orders-per-second must be more than 0")
    if not 0 <= given.subscribers <= SUBSCRIBERS_MAX:
        parser.error(f"--subscribers must be from 0 to {SUBSCRIBERS_MAX}")
    if not 0 <= given.habits <= HABITS_MAX:
        parser.error(f"--habits must be from 0 to {HABITS_MAX:g}")
    if not 0 <= given.skew <= SKEW_MAX_SECONDS:
        parser.error(f"--skew-seconds must be from 0 to {SKEW_MAX_SECONDS:g}")
    return Options(
        minutes=given.minutes,
        seed=secrets.randbelow(SEED_MAX + 1) if given.seed is None else given.seed,
        orders_per_second=given.orders_per_second,
        subscribers=given.subscribers,
        history=given.history,
        naive=given.naive,
        sabotage=given.sabotage,
        has_id_check=given.has_id_check,
        habits=given.habits,
        skew=given.skew,
    )
