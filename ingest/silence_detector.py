"""Detection of a stream that is connected and silent: it answers pings for hours and sends no report.

Silence by itself proves nothing, since a quiet market is silent too, all night. So the venue is queried over REST, at
each interval of silence while orders are open: only a report there that the stream should have sent proves that the
stream is broken. Another process may record it first: so everything counts that any catch-up of this process found
since the last report, and, since a worker's reconciler may have recorded it, a newer fill in the list of the venue.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from domain.model.errors import TransientError
from domain.services.reconciliation import Reconciliation
from ingest.catch_up_runner import CatchUpRunner


class LastReport:
    """The time of the last report, in monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.at = clock()

    def mark(self) -> None:
        """Record that a report has arrived."""
        self.at = self.clock()


@dataclass(slots=True, kw_only=True)
class SilenceDetector:
    """The silence detector of one session of the stream.

    `_newest_fills` are the newest fills at the probes since the stream's last report.
    """

    last_report: LastReport
    reconciliation: Reconciliation
    catch_ups: CatchUpRunner
    silence_seconds: float
    _newest_fills: set[datetime | None] = field(default_factory=set, init=False)

    async def reason_to_end(self) -> str:
        """Wait until the venue has returned a report that the silent stream should have sent; return the reason."""
        checked_at = self.last_report.clock()
        while True:
            await self._wait_for_silence(since=checked_at)
            if self.last_report.at > checked_at:
                self._newest_fills.clear()
            checked_at = self.last_report.clock()
            if await self._has_open_orders() and await self._is_broken(checked_at):
                return "the venue has reports that its stream did not send"

    async def _is_broken(self, checked_at: float) -> bool:
        """Query the venue; return whether that, or an earlier catch-up, found more than the stream has sent."""
        changes = await self.catch_ups.run(cause="silence")
        if changes is None or self.last_report.at > checked_at:
            return False
        self._newest_fills.add(self.reconciliation.newest_fill_at)
        return self.catch_ups.found_at > self.last_report.at or len(self._newest_fills) > 1

    async def _wait_for_silence(self, *, since: float) -> None:
        """Wait until no report has arrived for `silence_seconds`, counted from `since` at the earliest."""
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
