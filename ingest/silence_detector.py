"""Finds a stream that lives and says nothing: it answers pings for hours, and no report comes.

Silence alone proves nothing, since a quiet market looks the same. So the venue is asked: when it tells something new
while the stream stayed silent, the stream is mute. When it tells nothing either, the stream gets one more chance.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from domain.model.errors import TransientError
from domain.ports.telemetry import Telemetry
from domain.services.reconciliation import Reconciliation


class Hearing:
    """When the newest report came, by a clock of seconds that only grow."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.heard_at = clock()

    def mark(self) -> None:
        """A report has come."""
        self.heard_at = self.clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceWatch:
    """Listens to one session."""

    hearing: Hearing
    reconciliation: Reconciliation
    telemetry: Telemetry
    silence_seconds: float

    async def reason_to_end(self) -> str:
        """Wait until the session should be ended for its silence; gives the reason."""
        checked_at, asked_at = self.hearing.clock(), None
        while True:
            await self._span_of_silence(since=checked_at)
            is_still_silent = asked_at is not None and self.hearing.heard_at <= asked_at
            checked_at, asked_at = self.hearing.clock(), None
            if not await self._is_more_expected():
                continue
            if is_still_silent:
                return "the stream stays silent although orders are open"
            if await self._catch_up() and self.hearing.heard_at <= checked_at:
                return "the venue has news of which its stream said nothing"
            asked_at = checked_at

    async def _span_of_silence(self, *, since: float) -> None:
        """Wait until nothing has come for as long as the settings bear, counted from that moment at the earliest."""
        while True:
            left = max(since, self.hearing.heard_at) + self.silence_seconds - self.hearing.clock()
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def _is_more_expected(self) -> bool:
        try:
            return await self.reconciliation.has_open_orders()
        except TransientError:
            return False

    async def _catch_up(self) -> bool:
        """Whether the venue told something new."""
        try:
            changes = await self.reconciliation.catch_up(cause="silence")
        except TransientError as error:
            self.telemetry.warning("catch_up_failed", cause="silence", error=str(error), next="tried again")
            return False
        return changes > 0
