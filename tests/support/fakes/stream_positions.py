"""Stream positions and leadership in memory: one row for each venue, as in the table."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.ports.clock_and_ids import Clock
from domain.ports.ingest_state import Fence, HeldLease, Position
from tests.support.fakes.clock import SettableClock


@dataclass(slots=True)
class StreamRow:
    """The recorded position of a venue's stream, its leader and the end of the lease."""

    moments: dict[Position, datetime] = field(default_factory=dict)
    epoch: int = 0
    leader_id: UUID | None = None
    lease_until: datetime | None = None


@dataclass(slots=True)
class MemoryStreamPositions:
    """StreamPositions and LeadershipLease."""

    clock: Clock = field(default_factory=SettableClock)
    rows: dict[str, StreamRow] = field(default_factory=dict)

    async def read(self, venue: str, position: Position = Position.FILLS) -> datetime | None:
        return self._row(venue).moments.get(position)

    async def advance(
        self, venue: str, moment: datetime, *, position: Position = Position.FILLS, fence: Fence | None = None
    ) -> None:
        moments = self._row(venue).moments
        if fence is None or self.holds(fence):
            moments[position] = max(moments.get(position, moment), moment)

    async def acquire(
        self, venue: str, *, leader_id: UUID, lease: timedelta, ended: HeldLease | None = None
    ) -> Fence | HeldLease:
        row, now = self._row(venue), self.clock()
        held = HeldLease(epoch=row.epoch, until=row.lease_until)
        is_held = row.lease_until is not None and row.lease_until > now and held != ended
        if is_held and row.leader_id != leader_id:
            return held
        row.epoch += 1
        row.leader_id = leader_id
        row.lease_until = now + lease
        return Fence(venue=venue, epoch=row.epoch)

    async def renew(self, fence: Fence, *, lease: timedelta) -> bool:
        if self.holds(fence):
            self._row(fence.venue).lease_until = self.clock() + lease
        return self.holds(fence)

    async def release(self, fence: Fence) -> None:
        if self.holds(fence):
            self._row(fence.venue).lease_until = None

    def holds(self, fence: Fence) -> bool:
        """Return whether no other process has led since."""
        return self._row(fence.venue).epoch == fence.epoch

    def _row(self, venue: str) -> StreamRow:
        return self.rows.setdefault(venue, StreamRow())
