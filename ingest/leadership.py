"""Which ingest follows the stream: one leads by a lease in the database, the others stand by and ask for it.

The lease decides who may open the stream, which most venues give to one connection only. What may be written is decided
by its epoch, which the statement that records a batch compares: a leader that was paused past its lease can read old
clocks and believe what it likes, and still writes nothing. See docs/decisions/0007.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.model.errors import LeadershipLostError, TransientError
from domain.ports.ingest_state import Fence, LeadershipLease
from domain.ports.telemetry import Metric, Telemetry

Follow = Callable[[Fence], Awaitable[None]]
"""Follows the stream for one term of leadership, until cancelled; whatever it writes carries the fence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadershipPolicy:
    """How long a lease lasts unless it is renewed, how often it is, and how often those who stand by ask for it."""

    lease: timedelta
    renew_every: timedelta
    ask_every: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """Stands by, leads, stands by again, until cancelled."""

    lease: LeadershipLease
    venue: str
    leader_id: UUID
    follow: Follow
    telemetry: Telemetry
    policy: LeadershipPolicy

    async def run(self) -> None:
        """Lead whenever nobody else does."""
        while True:
            self.telemetry.set(Metric.INGEST_LEADER, 0)
            fence, lease_ends = await self._until_leading()
            await self._lead(fence, lease_ends)

    async def _until_leading(self) -> tuple[Fence, float]:
        """Ask until the lease is free; gives the fence, and when the lease ends by this process's clock."""
        is_told = False
        while True:
            lease_ends = self._lease_from_now()
            if (fence := await self._take()) is not None:
                return fence, lease_ends
            if not is_told:
                self.telemetry.info("standing_by", venue=self.venue, leader_id=str(self.leader_id))
            is_told = True
            await asyncio.sleep(self.policy.ask_every.total_seconds())

    async def _take(self) -> Fence | None:
        try:
            return await self.lease.take(self.venue, leader_id=self.leader_id, lease=self.policy.lease)
        except TransientError as error:
            self.telemetry.warning("leadership_unknown", error=str(error), next="asked again")
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
            await self._give_back(fence)

    async def _renew(self, fence: Fence, lease_ends: float) -> None:
        """Renew the lease in time. Raises LeadershipLostError when another one leads, or may by now.

        The end is counted from before the question, so that it comes here earlier than in the database. While the
        database is away the stream is left at that moment: a process that still reaches the database can have it.
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

    async def _give_back(self, fence: Fence) -> None:
        """Let another one lead at once. A lease that cannot be given back ends by itself."""
        try:
            await self.lease.give_back(fence)
        except TransientError as error:
            self.telemetry.warning("lease_not_released", error=str(error), next="it ends by itself")
        else:
            self.telemetry.info("lease_released", epoch=fence.epoch)

    def _lease_from_now(self) -> float:
        return asyncio.get_running_loop().time() + self.policy.lease.total_seconds()


async def _awaited(following: Awaitable[None]) -> None:
    await following
