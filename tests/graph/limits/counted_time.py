"""A loop whose clock is put forward by hand and by timers: what is counted on it is always the same."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

import pytest

from graph.limits import query_concurrency

Result = TypeVar("Result")


class CountedTime(selectors.SelectSelector):
    """Waits for nothing but timers, and for them by putting the clock forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._random = Random(13)

    def pass_about(self, seconds: float) -> None:
        """Go on by that time, more or less: else queries keep in step with each other, and some never meet."""
        self.now += seconds * self._random.uniform(0.8, 1.2)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Go on to the next timer."""
        self.now += max(0.0, timeout or 0.0)
        return []


def run_counted(work: Callable[[CountedTime], Coroutine[Any, Any, Result]], monkeypatch: pytest.MonkeyPatch) -> Result:
    """Run it in a loop of its own that goes by the clock which it is given, as the account's slots do."""
    clock = CountedTime()
    loop = asyncio.SelectorEventLoop(clock)
    monkeypatch.setattr(loop, "time", lambda: clock.now)
    monkeypatch.setattr(query_concurrency, "monotonic", lambda: clock.now)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work(clock))
