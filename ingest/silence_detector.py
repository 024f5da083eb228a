"""Detection of a stream that is connected and silent: it answers pings for hours and sends no report.

Silence alone proves nothing, since a quiet market looks the same, all night. So the venue is asked over REST, at each
interval of silence while orders are open: only what it shows there, and should have sent, proves that the stream is
broken. Others may record it first (the periodic catch-up, a worker's reconciler), so the newest fill counts too.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from domain.model.errors import TransientError
from domain.model.frozen import frozen
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


@frozen
class _Shown:
    """What the venue has shown over REST so far: the number of changes that catch-ups found, and its newest fill."""

    changes: int
    newest_fill_at: datetime | None


@dataclass(slots=True, kw_only=True)
class SilenceDetector:
    """The silence detector of one session of the stream. `_shown` is what the venue had shown at the last probe, None
    when the stream has sent a report since."""

    last_report: LastReport
    reconciliation: Reconciliation
    catch_ups: CatchUpRunner
    silence_seconds: float
    _shown: _Shown | None = field(default=None, init=False)

    async def reason_to_end(self) -> str:
        """Wait until the venue has shown something that the silent stream should have sent; return the reason."""
        checked_at = self.last_report.clock()
        while True:
            await self._wait_for_silence(since=checked_at)
            if self.last_report.at > checked_at:
                self._shown = None
            checked_at = self.last_report.clock()
            if await self._has_open_orders() and await self._is_broken(checked_at):
                return "the venue has reports that its stream did not send"

    async def _is_broken(self, checked_at: float) -> bool:
        """Ask the venue; return whether that shows more than the stream has sent."""
        changes = await self.catch_ups.run(cause="silence")
        if changes is None or self.last_report.at > checked_at:
            return False
        before = self._shown
        self._shown = _Shown(changes=self.catch_ups.changes, newest_fill_at=self.reconciliation.newest_fill_at)
        return changes > 0 or (before is not None and self._shown != before)

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
