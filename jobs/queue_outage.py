"""Failures of the job queue: the reason in fixed words; logged once, counted, and retried at growing intervals."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from domain.ports.telemetry import Metric, Telemetry

PAUSE_SECONDS = 0.1
PAUSE_MAX_SECONDS = 2.0

DENIED = "denied"
UNREACHABLE = "unreachable"
_REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    # The more specific class of two comes first.
    ((NoPermissionError,), DENIED),
    ((AuthenticationError, AuthorizationError), "login refused"),
    ((ReadOnlyError,), "read only"),
    ((OutOfMemoryError,), "out of memory"),
    ((BusyLoadingError,), "loading"),
    ((RedisTimeoutError, MaxConnectionsError, TimeoutError), "busy"),
)
_REFUSALS = (
    ("NOPERM", DENIED),
    # Of a command inside a script.
    ("can't run this command", DENIED),
    ("NOAUTH", "login refused"),
    ("MISCONF", "cannot save"),
    # What waited while it became a replica.
    ("UNBLOCKED", "read only"),
)
"""What errors without a class of their own say."""


def trouble_of(error: Exception) -> str:
    """Return the reason why Redis refused a command, in words without its address."""
    for classes, reason in _REASONS:
        if isinstance(error, classes):
            return reason
    if isinstance(error, ResponseError):
        return next((reason for text, reason in _REFUSALS if text in str(error)), "refused")
    return UNREACHABLE


@dataclass(slots=True)
class QueueOutage:
    """Current failures, for each operation on the queue.

    While one fails, one task at a time tries it, after a pause that doubles; the others wait for its result. Otherwise
    each of a worker's tasks would retry immediately, without end.
    """

    telemetry: Telemetry
    _reasons: dict[str, str] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _pause_seconds: float = PAUSE_SECONDS

    @property
    def reason(self) -> str | None:
        """Why the queue does not work; None when it does."""
        return next(iter(self._reasons.values()), None)

    def is_failing(self, operation: str) -> bool:
        """Return whether the operation failed when it was last tried."""
        return operation in self._reasons

    async def turn(self, operation: str) -> bool:
        """Wait until the operation works again, or until the caller must try it, which returns True."""
        async with self._turn:
            if not self.is_failing(operation):
                return False
            await asyncio.sleep(self._pause_seconds)
            self._pause_seconds = min(2 * self._pause_seconds, PAUSE_MAX_SECONDS)
            return True

    def note_failure(self, operation: str, error: Exception) -> None:
        """Count it; log the first failure for each reason."""
        reason = trouble_of(error)
        self.telemetry.count(Metric.JOB_QUEUE_FAILURES, reason=reason)
        is_known = reason in self._reasons.values()
        self._reasons[operation] = reason
        if not is_known:
            self.telemetry.warning(
                "job_queue_failing",
                operation=operation,
                reason=reason,
                error=f"{type(error).__name__}: {error}",
                next="tried again until it works; meanwhile the sweeper takes the orders from the database",
            )

    def note_success(self, operation: str, *, ends_also: Sequence[str] = ()) -> None:
        """Log the end of a failure; other failures for the same reason that are retried less often have ended with
        it.
        """
        if (reason := self._reasons.pop(operation, None)) is None:
            return
        for other in ends_also:
            if self._reasons.get(other) == reason:
                del self._reasons[other]
        if reason not in self._reasons.values():
            self._pause_seconds = PAUSE_SECONDS
            self.telemetry.info("job_queue_recovered", operation=operation, reason=reason)
