"""Leading and standing by: one at a time, immediately after a clean stop, and never two writers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.model.errors import LeadershipLostError, UnavailableError
from domain.ports.ingest_state import Fence, HeldLease
from domain.ports.telemetry import Metric
from ingest.leadership import Leadership, LeadershipPolicy
from tests.ingest.running_consumer import fill, placed, report_of
from tests.support.fakes.stream_positions import MemoryStreamPositions
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.memory_gateway import Desk
from tests.support.processes import eventually

VENUE = "SIM"
LEASE = timedelta(milliseconds=200)
OFTEN = timedelta(milliseconds=5)
NEVER = timedelta(hours=1)


@dataclass(slots=True)
class SometimesAway(MemoryStreamPositions):
    """Leases of a database that a test disconnects."""

    is_away: bool = False

    async def renew(self, fence: Fence, *, lease: timedelta) -> bool:
        if self.is_away:
            raise UnavailableError
        return await MemoryStreamPositions.renew(self, fence, lease=lease)

    async def acquire(
        self, venue: str, *, leader_id: UUID, lease: timedelta, ended: HeldLease | None = None
    ) -> Fence | HeldLease:
        if self.is_away:
            raise UnavailableError
        return await MemoryStreamPositions.acquire(self, venue, leader_id=leader_id, lease=lease, ended=ended)


@dataclass(slots=True)
class Ingest:
    """One process: its stream and log. `fenced` makes its writes fail."""

    number: int
    lease: SometimesAway
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    epochs: list[int] = field(default_factory=list)
    is_following: bool = False
    fenced: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def follow(self, fence: Fence) -> None:
        self.epochs.append(fence.epoch)
        self.is_following = True
        try:
            await self.fenced.wait()
            self.fenced.clear()
            raise LeadershipLostError(fence.epoch)
        finally:
            self.is_following = False

    def start(self, *, renew_every: timedelta = OFTEN, lease: timedelta = LEASE) -> None:
        policy = LeadershipPolicy(lease=lease, renew_every=renew_every, ask_every=OFTEN)
        leadership = Leadership(
            lease=self.lease,
            venue=VENUE,
            leader_id=UUID(int=self.number),
            follow=self.follow,
            telemetry=self.telemetry,
            policy=policy,
        )
        self.task = asyncio.create_task(leadership.run())

    async def stop(self) -> None:
        """Stop cleanly."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def _two() -> AsyncIterator[tuple[Ingest, Ingest]]:
    """Two processes, of which the first has begun to lead."""
    lease = SometimesAway(clock=_now)
    first, second = Ingest(1, lease), Ingest(2, lease)
    first.start()
    await _soon(lambda: first.is_following, "the first leads")
    try:
        yield first, second
    finally:
        for one in (first, second):
            if one.task is not None:
                await one.stop()


async def _soon(condition: Callable[[], bool], what: str) -> None:
    await eventually(condition, within_seconds=5, what=what)


async def test_one_leads_and_the_other_stands_by() -> None:
    async with _two() as (first, second):
        second.start()

        await _soon(lambda: bool(second.telemetry.said("standing_by")), "the second stands by")

        assert first.telemetry.gauges[Metric.INGEST_LEADER] == 1
        assert second.telemetry.gauges[Metric.INGEST_LEADER] == 0
        assert second.epochs == []


async def test_a_leader_that_stops_cleanly_is_replaced_immediately_under_a_higher_epoch() -> None:
    async with _two() as (first, second):
        second.start()
        await _soon(lambda: bool(second.telemetry.said("standing_by")), "the second stands by")

        await first.stop()

        assert second.lease.rows[VENUE].lease_until is None or second.is_following
        await _soon(lambda: second.is_following, "the second leads")
        assert (first.epochs, second.epochs) == ([1], [2])
        assert first.telemetry.gauges[Metric.INGEST_LEADER] == 0
        assert first.telemetry.said("lease_released")


async def test_a_leader_that_renews_its_lease_keeps_it() -> None:
    async with _two() as (first, second):
        second.start()
        until = first.lease.rows[VENUE].lease_until
        assert until is not None

        await _soon(lambda: _now() > until + LEASE, "two leases are over")

        assert (first.epochs, second.epochs) == ([1], [])


async def test_a_leader_that_renews_seldom_and_in_time_keeps_its_lease_however_often_others_try() -> None:
    lease = SometimesAway(clock=_now)
    first, second = Ingest(1, lease), Ingest(2, lease)
    long = 4 * LEASE
    first.start(renew_every=long / 3, lease=long)
    await _soon(lambda: first.is_following, "the first leads")
    second.start(lease=long)
    try:
        until = _now() + 2 * long
        await _soon(lambda: _now() > until, "two leases are over")
        assert (first.epochs, second.epochs) == ([1], [])
    finally:
        await first.stop()
        await second.stop()


async def test_a_dead_leader_is_replaced_when_its_lease_has_ended() -> None:
    lease = SometimesAway(clock=_now)
    await lease.acquire(VENUE, leader_id=UUID(int=9), lease=LEASE)
    successor = Ingest(1, lease)
    successor.start()
    try:
        await _soon(lambda: successor.is_following, "it leads")
        assert successor.epochs == [2]
    finally:
        await successor.stop()


async def test_a_dead_leader_is_replaced_although_the_databases_clock_was_set_back_by_a_day() -> None:
    lease = SometimesAway(clock=_now)
    await lease.acquire(VENUE, leader_id=UUID(int=9), lease=timedelta(days=1))
    successor = Ingest(1, lease)
    successor.start()
    try:
        await _soon(lambda: successor.is_following, "it leads")
        assert successor.epochs == [2]
    finally:
        await successor.stop()


async def test_a_live_leader_is_not_replaced_while_the_databases_clock_is_set_back() -> None:
    async with _two() as (first, second):
        second.start()
        await _soon(lambda: bool(second.telemetry.said("standing_by")), "the second stands by")

        first.lease.clock = lambda: _now() - timedelta(hours=5)
        until = _now() + 2 * LEASE
        await _soon(lambda: _now() > until, "two leases are over")

        assert (first.epochs, second.epochs) == ([1], [])


async def test_an_old_leader_whose_write_is_refused_stands_by() -> None:
    async with _two() as (first, second):
        first.lease.rows[VENUE].lease_until = _now()
        first.lease.is_away = True  # It is paused, and does not renew.
        taken = await MemoryStreamPositions.acquire(first.lease, VENUE, leader_id=UUID(int=2), lease=NEVER)
        assert isinstance(taken, Fence)
        first.fenced.set()

        await _soon(lambda: not first.is_following, "the first follows nothing any more")
        first.lease.is_away = False

        await _soon(lambda: bool(first.telemetry.said("standing_by")), "it stands by")
        assert first.telemetry.said("leadership_lost")
        assert first.epochs == [1]
        assert second.epochs == []


async def test_a_leader_that_finds_another_one_when_it_renews_stands_by() -> None:
    async with _two() as (first, _):
        first.lease.rows[VENUE].epoch += 1
        first.lease.rows[VENUE].leader_id = UUID(int=2)
        first.lease.rows[VENUE].lease_until = _now() + NEVER

        await _soon(lambda: not first.is_following, "the first follows nothing any more")

        await _soon(lambda: bool(first.telemetry.said("standing_by")), "it stands by")


async def test_while_the_database_is_away_the_stream_is_left_when_the_lease_must_be_over_and_taken_again_later() -> (
    None
):
    async with _two() as (first, _):
        first.lease.is_away = True
        await _soon(lambda: not first.is_following, "the stream is left")

        first.lease.is_away = False

        await _soon(lambda: first.is_following, "it leads again")
        assert first.epochs == [1, 2]


async def test_a_former_leader_stores_no_dead_letter() -> None:
    desk = Desk()
    fence = await desk.positions.acquire(desk.venue.name, leader_id=UUID(int=1), lease=LEASE)
    assert isinstance(fence, Fence)
    desk.fence = fence
    order = await placed(desk)
    fills = [fill(number, quantity=50, cumulative=50 * number) for number in (1, 2)]
    desk.venue.fill_pages = [[report_of(order, each) for each in fills]]
    desk.clock.advance(LEASE)
    await desk.positions.acquire(desk.venue.name, leader_id=UUID(int=2), lease=LEASE)

    with pytest.raises(LeadershipLostError):
        await desk.reconciliation.catch_up(cause="connect")

    assert desk.telemetry.said("dead_letter") == []
    assert await desk.positions.read(desk.venue.name) is None
