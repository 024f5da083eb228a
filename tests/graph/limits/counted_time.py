"""A loop whose clock is advanced by hand and by timers, so that measurements on it are deterministic."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

import pytest

from graph.limits import query_concurrency

Result = TypeVar("Result")


class CountedTime(selectors.SelectSelector):
    """Waits only for timers, by advancing the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._random = Random(13)

    def pass_about(self, seconds: float) -> None:
        """Advance by about that time: otherwise queries run in lockstep, and some never overlap."""
        self.now += seconds * self._random.uniform(0.8, 1.2)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Advance to the next timer."""
        self.now += max(0.0, timeout or 0.0)
        return []


def run_counted(work: Callable[[CountedTime], Coroutine[Any, Any, Result]], monkeypatch: pytest.MonkeyPatch) -> Result:
    """Run it in a separate loop with the given clock, which the account's slots use too."""
    clock = CountedTime()
    loop = asyncio.SelectorEventLoop(clock)
    monkeypatch.setattr(loop, "time", lambda: clock.now)
    monkeypatch.setattr(query_concurrency, "monotonic", lambda: clock.now)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work(clock))
