"""A program to supervise: a command, an environment, a probe that finds out when it is ready, and how it is stopped."""

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.devstack.running import Identity

DEATHS_ALLOWED = 3


async def _at_once() -> bool:
    return True


async def _nothing() -> None:
    return None


def _none(_line: str) -> bool:
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """One program to run."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    ready: Callable[[], Awaitable[bool]] = _at_once
    prepare: Callable[[], Awaitable[None]] = _nothing  # Called before each start, also before a restart.
    identity: Identity = Identity.OWN
    stop_rank: int = 0  # Lower ranks stop first, equal ranks at the same time.
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL  # What it gets when the supervisor is killed.
    deaths_allowed: int = DEATHS_ALLOWED  # Within a minute; one more stops everything.
    restarts: bool = True
    hides: Callable[[str], bool] = _none  # Lines that are not shown.
