"""The deadline of an operation, and how long operations take.

All operations of a process have the same time, so they end in the order in which they began, and one timer does for
all. A timer for each costs several microseconds of every operation.
"""

import asyncio
from collections import deque
from time import perf_counter
from types import TracebackType
from typing import Any

from domain.ports.telemetry import Metric, Telemetry
from graph.errors import OperationTimeoutError


class Term:
    """The time of one task. Past it the task is cancelled; whoever began the term says so instead."""

    __slots__ = ("_cancelling", "_task", "ends_at", "has_expired")

    def __init__(self, task: asyncio.Task[Any], ends_at: float) -> None:
        self.ends_at = ends_at
        self.has_expired = False
        self._cancelling = task.cancelling()
        self._task: asyncio.Task[Any] | None = task

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for its end any more."""
        return self._task is None

    def is_of(self, task: asyncio.Task[Any]) -> bool:
        """Return whether it is the time of that task, and not over."""
        return self._task is task

    def expire(self) -> None:
        """Cancel the task, once, if the term is not over."""
        if self._task is not None and not self.has_expired:
            self.has_expired = True
            self._task.cancel()

    def end(self) -> bool:
        """End it. Return whether the task was cancelled by this term, and by nobody else."""
        task, self._task = self._task, None
        return self.has_expired and task is not None and task.uncancel() <= self._cancelling


class Deadlines:
    """The terms of a process that are not over, the oldest first."""

    def __init__(self) -> None:
        self._terms: deque[Term] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, seconds: float) -> Term:
        """Begin a term of the present task. Always with the same seconds."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - only a bug could break it: coroutines run in tasks
        loop = task.get_loop()
        if loop is not self._loop:
            self._loop, self._timer = loop, None
            self._terms.clear()
        term = Term(task, loop.time() + seconds)
        self._terms.append(term)
        if self._timer is None:
            self._timer = loop.call_at(term.ends_at, self._expire, loop)
        return term

    def end(self, term: Term) -> bool:
        """End a term. Return whether it had expired, and its task was cancelled by it alone."""
        has_expired = term.end()
        while self._terms and self._terms[0].is_over:
            self._terms.popleft()
        return has_expired

    def seconds_left(self) -> float | None:
        """Return the seconds that the present task has left; None where it has no term. A term that began lately is
        found soonest.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - as above
        term = next((term for term in reversed(self._terms) if term.is_of(task)), None)
        return None if term is None else term.ends_at - task.get_loop().time()

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for term in self._terms:
            if term.ends_at > now and not term.is_over:
                self._timer = loop.call_at(term.ends_at, self._expire, loop)
                return
            term.expire()
        self._timer = None


class Deadline:
    """Ends what takes longer than `seconds`, by OperationTimeoutError, and measures it under its kind."""

    __slots__ = ("_deadlines", "_kind", "_seconds", "_started", "_telemetry", "_term")

    def __init__(self, deadlines: Deadlines, telemetry: Telemetry, *, seconds: float, kind: str) -> None:
        self._deadlines = deadlines
        self._telemetry = telemetry
        self._seconds = seconds
        self._kind = kind

    def __enter__(self) -> None:
        self._started = perf_counter()
        self._term = self._deadlines.begin(self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._deadlines.end(self._term) and isinstance(error, asyncio.CancelledError):
                raise OperationTimeoutError from None
        finally:
            self._telemetry.observe(Metric.OPERATION_SECONDS, perf_counter() - self._started, type=self._kind)
