"""A hub with quick settings, and subscribers that collect what they are given."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from broadcast.envelope import MessageSigner
from broadcast.feed import HubFeed
from broadcast.hub import ChangeHub, open_hub
from broadcast.settings import HubSettings
from domain.model.changes import OrderSnapshot, RecordedChange
from domain.ports.notifications import Checkpoint, Reset, UpToDate
from domain.ports.readers import ChangeLog
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.processes import eventually
from tests.support.signed_messages import SIGNER

DEADLINE_SECONDS = 15.0
NO_REDIS = "redis://127.0.0.1:1/0"
"""Nobody listens on port 1: the hub works from the log alone, and from what a test lets it hear."""

QUICK = HubSettings(
    connect_timeout_seconds=0.5,
    ping_seconds=0.05,
    silence_seconds=0.4,
    reconnect_delay_seconds=0.01,
    reconnect_delay_max_seconds=0.1,
    linger_seconds=0.2,
    settle_seconds=0.002,
    unproved_pause_seconds=0.05,
    read_retry_delay_seconds=0.005,
    read_retry_delay_max_seconds=0.02,
    comparison_seconds=0.1,
    comparison_without_link_seconds=0.01,
)
UNHURRIED = replace(QUICK, comparison_seconds=3_600, comparison_without_link_seconds=3_600, settle_seconds=0.02)
"""Without the comparison, so that what mends a gap is the gap itself."""

Item = OrderSnapshot | RecordedChange | Checkpoint | Reset


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A hub and its feed."""

    hub: ChangeHub
    feed: HubFeed
    telemetry: RecordingTelemetry


@asynccontextmanager
async def a_feed(
    log: ChangeLog,
    *,
    signer: MessageSigner = SIGNER,
    settings: HubSettings = QUICK,
    redis_url: str = NO_REDIS,
    completion_wait_seconds: float = DEADLINE_SECONDS,
) -> AsyncIterator[Listening]:
    telemetry = RecordingTelemetry()
    async with open_hub(redis_url, log=log, signer=signer, settings=settings, telemetry=telemetry) as hub:
        feed = HubFeed(hub=hub, log=log, telemetry=telemetry, completion_wait_seconds=completion_wait_seconds)
        yield Listening(hub=hub, feed=feed, telemetry=telemetry)


class Collected:
    """A subscriber that reads as fast as it can; `read` may be cleared to make it stop reading."""

    def __init__(self, items: AsyncGenerator[Sequence[Item | UpToDate]]) -> None:
        self.items: list[Item] = []
        self.read = asyncio.Event()
        self.read.set()
        self._generator = items
        self._task = asyncio.create_task(self._collect())

    async def _collect(self) -> None:
        async for items in self._generator:
            for item in items:
                if not isinstance(item, UpToDate):
                    self.items.append(item)
                await self.read.wait()

    @property
    def is_over(self) -> bool:
        """Whether the generator has ended by itself."""
        return self._task.done()

    @property
    def sequences(self) -> list[int]:
        """Return the sequences of the received changes."""
        return [item.sequence for item in self.items if isinstance(item, RecordedChange)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; the subscriber must not have failed."""

        def holds() -> bool:
            if self._task.done() and not self._task.cancelled() and (error := self._task.exception()) is not None:
                raise error
            return condition()

        await eventually(holds, within_seconds=DEADLINE_SECONDS, what=f"{len(self.items)} items: {self.items[-3:]}")

    async def has(self, count: int) -> None:
        """Wait until that number of items has arrived."""
        await self.until(lambda: len(self.items) >= count)

    async def ends(self) -> None:
        """Wait for its end."""
        await self.until(lambda: self.is_over)

    async def close(self) -> None:
        """Stop it like a client that disconnects."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._generator.aclose()


@asynccontextmanager
async def following(
    listening: Listening, account_id: str = "demo", *, after: int | None = None
) -> AsyncIterator[Collected]:
    """Subscribe to an account."""
    collected = Collected(listening.feed.account(account_id, after=after))
    try:
        yield collected
    finally:
        await collected.close()


@asynccontextmanager
async def following_order(
    listening: Listening, order_id: UUID, *, account_id: str | None = "demo", after_version: int | None = None
) -> AsyncIterator[Collected]:
    """Subscribe to an order."""
    generator = listening.feed.order(order_id, account_id=account_id, after_version=after_version)
    collected = Collected(generator)
    try:
        yield collected
    finally:
        await collected.close()
