"""Detection of a stream that is connected and silent: it answers pings for hours and sends no report.

Silence alone proves nothing, since a quiet market looks the same. So a catch-up is made: if it finds something new
while the stream stayed silent, the stream is broken. If it finds nothing, the stream gets one more interval.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from domain.model.errors import TransientError
from domain.services.reconciliation import Reconciliation
from ingest.catch_up_runner import CatchUpRunner


class LastReport:
    """The time of the last report, in monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.at = clock()

    def mark(self) -> None:
        """Note that a report has come."""
        self.at = self.clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceDetector:
    """The silence detector of one session of the stream."""

    last_report: LastReport
    reconciliation: Reconciliation
    catch_ups: CatchUpRunner
    silence_seconds: float

    async def reason_to_end(self) -> str:
        """Wait until the session should be ended for its silence; return the reason."""
        checked_at, asked_at = self.last_report.clock(), None
        while True:
            await self._wait_for_silence(since=checked_at)
            is_still_silent = asked_at is not None and self.last_report.at <= asked_at
            checked_at, asked_at = self.last_report.clock(), None
            if not await self._has_open_orders():
                continue
            if is_still_silent:
                return "the stream stays silent although orders are open"
            if await self.catch_ups.run(cause="silence") and self.last_report.at <= checked_at:
                return "the venue has reports that its stream did not send"
            asked_at = checked_at

    async def _wait_for_silence(self, *, since: float) -> None:
        """Wait until no report has come for `silence_seconds`, counted from `since` at the earliest."""
        while True:
            left = max(since, self.last_report.at) + self.silence_seconds - self.last_report.clock()
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def _has_open_orders(self) -> bool:
        try:
            return await self.reconciliation.has_open_orders()
        except TransientError:
            return False
