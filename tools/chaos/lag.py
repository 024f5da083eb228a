"""How far the subscribers are behind the database once the faults have ended.

The delay of a change starts when the database was first seen to have it, and at the earliest when the last fault was
removed: changes of the backlog are delivered as they are made, so measuring all of them from the end of the faults
would measure the backlog, which invariant 7 bounds separately.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tools.chaos.evidence import Following
from tools.chaos.ledger import OUTAGES, Ledger

LOOK_EVERY_SECONDS = 0.25


@dataclass(slots=True, kw_only=True)
class Lag:
    """The lag of every following. `worst_seconds` is the longest that any of them lacked a change so far."""

    followings: Sequence[Following]
    worst_seconds: float = 0.0
    _marks: defaultdict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))

    async def watch(self, ledger: Ledger) -> None:
        """Compare repeatedly, until cancelled."""
        while True:
            with suppress(*OUTAGES):  # Not reconnected yet: the delay of its changes starts with the next comparison.
                await self.look(ledger)
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def look(self, ledger: Ledger) -> bool:
        """Return whether every subscriber has received the database's current state. Raise one of OUTAGES."""
        positions = await ledger.sequences()
        positions |= await ledger.versions([each.order_id for each in self._waiting() if each.order_id is not None])
        now = asyncio.get_running_loop().time()
        self.note(positions, now=now)
        return self.behind_seconds(now=now) == 0

    def note(self, positions: Mapping[str, int], *, now: float) -> None:
        """Record the database's state: sequences by account, versions by order."""
        for key, position in positions.items():
            marks = self._marks[key]
            if not marks or marks[-1][1] < position:
                marks.append((now, position))

    def behind_seconds(self, *, now: float) -> float:
        """Return for how long the last subscriber has lacked a change; 0 for none."""
        worst = max((self._lacks_seconds(each, now) for each in self._waiting()), default=0.0)
        self.worst_seconds = max(self.worst_seconds, worst)
        return worst

    def _waiting(self) -> Sequence[Following]:
        return [following for following in self.followings if not following.is_over]

    def _lacks_seconds(self, following: Following, now: float) -> float:
        seen = following.last_place or 0
        marks = self._marks.get(following.order_id or following.account_id, [])
        # A subscriber that received its change between the two reads lacks nothing; one that lacks a change lacks it
        # from the first comparison that showed it.
        return next((max(now - at, LOOK_EVERY_SECONDS) for at, position in marks if position > seen), 0.0)
