"""Leadership of ingest: one process follows the stream under a lease in the database, the others stand by.

The lease permits opening the stream, for which most venues allow one connection only. The lease's epoch permits
writing: the statement that records a batch compares it, so a leader that was suspended past its lease writes nothing,
regardless of its clock. See docs/decisions/0007.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from domain.model.errors import LeadershipLostError, TransientError
from domain.ports.ingest_state import Fence, HeldLease, LeadershipLease
from domain.ports.telemetry import Metric, Telemetry
from domain.services.task_cancellation import run_cancellable

Follow = Callable[[Fence], Awaitable[None]]
"""A function that follows the stream for one term of leadership, until cancelled; its writes carry the fence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadershipPolicy:
    """How long a lease lasts unless renewed, how often it is renewed, and how often a standby process tries to take
    it.
    """

    lease: timedelta
    renew_every: timedelta
    ask_every: timedelta


@dataclass(slots=True)
class _Watch:
    """The watch over another process's lease: the time since its last renewal, by this process's clock.

    A lease that was written before the database's clock was set back seems valid for the time by which the clock was
    set back.
    """

    lease_seconds: float
    _held: HeldLease | None = None
    _since: float = field(default=0.0)

    def note(self, held: HeldLease, *, now: float) -> None:
        """Note the lease as it was read at `now`, in monotonic seconds."""
        if held != self._held:
            self._held, self._since = held, now

    def ended(self, *, now: float) -> HeldLease | None:
        """Return the lease if it has not been renewed for its whole duration."""
        return self._held if now - self._since > self.lease_seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """One process's part in leadership: it stands by, leads, stands by again, until cancelled."""

    lease: LeadershipLease
    venue: str
    leader_id: UUID
    follow: Follow
    telemetry: Telemetry
    policy: LeadershipPolicy

    async def run(self) -> None:
        """Lead whenever no other process does."""
        while True:
            self.telemetry.set(Metric.INGEST_LEADER, 0)
            fence, lease_ends = await self._until_leading()
            await run_cancellable(self._lead(fence, lease_ends))

    async def _until_leading(self) -> tuple[Fence, float]:
        """Try until the lease is free; return the fence, and the end of the lease by this process's clock."""
        is_logged, watch, clock = False, _Watch(self.policy.lease.total_seconds()), asyncio.get_running_loop().time
        while True:
            lease_ends = self._lease_from_now()
            taken = await self._take(ended=watch.ended(now=clock()))
            if isinstance(taken, Fence):
                return taken, lease_ends
            if taken is not None:
                watch.note(taken, now=clock())
            if not is_logged:
                self.telemetry.info("standing_by", venue=self.venue, leader_id=str(self.leader_id))
            is_logged = True
            await asyncio.sleep(self.policy.ask_every.total_seconds())

    async def _take(self, *, ended: HeldLease | None) -> Fence | HeldLease | None:
        try:
            return await self.lease.acquire(self.venue, leader_id=self.leader_id, lease=self.policy.lease, ended=ended)
        except TransientError as error:
            self.telemetry.warning("leadership_unknown", error=str(error), next="retried")
            return None

    async def _lead(self, fence: Fence, lease_ends: float) -> None:
        self.telemetry.set(Metric.INGEST_LEADER, 1)
        self.telemetry.info("leading", venue=self.venue, leader_id=str(self.leader_id), epoch=fence.epoch)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._renew(fence, lease_ends))
                tasks.create_task(_awaited(self.follow(fence)))
        except* LeadershipLostError:
            self.telemetry.warning("leadership_lost", epoch=fence.epoch, next="stands by")
        finally:
            self.telemetry.set(Metric.INGEST_LEADER, 0)
            await self._release(fence)

    async def _renew(self, fence: Fence, lease_ends: float) -> None:
        """Renew the lease in time. Raises LeadershipLostError when another process leads, or may lead.

        The end of the lease is counted from before the call, so it is earlier here than in the database. If the
        database is unreachable until then, the stream is closed: a process that still reaches the database can follow
        it.
        """
        while True:
            await asyncio.sleep(self.policy.renew_every.total_seconds())
            asked_until = self._lease_from_now()
            try:
                async with asyncio.timeout_at(lease_ends):
                    is_renewed = await self.lease.renew(fence, lease=self.policy.lease)
            except TransientError:
                if asyncio.get_running_loop().time() < lease_ends:
                    continue
                is_renewed = False
            except TimeoutError:
                is_renewed = False
            if not is_renewed:
                raise LeadershipLostError(fence.epoch)
            lease_ends = asked_until

    async def _release(self, fence: Fence) -> None:
        """Release the lease, so that another process can lead immediately. A lease that cannot be released expires."""
        try:
            await self.lease.release(fence)
        except TransientError as error:
            self.telemetry.warning("lease_not_released", error=str(error), next="it expires")
        else:
            self.telemetry.info("lease_released", epoch=fence.epoch)

    def _lease_from_now(self) -> float:
        return asyncio.get_running_loop().time() + self.policy.lease.total_seconds()


async def _awaited(following: Awaitable[None]) -> None:
    await following
