"""LiveFeed: what a subscriber receives first, what then, and when it ends; here the hub works only from the log."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import pytest

from domain.model.errors import OrderNotFoundError
from domain.model.order import End
from domain.ports.notifications import Checkpoint, LiveFeed, Reset, UpToDate
from tests.contracts.stores import Adapters, memory_adapters, postgres_adapters
from tests.support.examples import accepted, ended, filled
from tests.support.fakes.live_feed import MemoryLiveFeed
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.live_feeds import a_feed
from tests.support.store_driver import Clerk

WAIT_SECONDS = 10.0
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Live:
    """A feed, and the clerk that creates its changes."""

    feed: LiveFeed
    clerk: Clerk


@pytest.fixture(params=["memory", "hub over memory", "hub over PostgreSQL"])
def adapters(request: pytest.FixtureRequest) -> Adapters:
    """Return the adapters that store the orders behind the feed."""
    if request.param == "hub over PostgreSQL":
        return postgres_adapters(request.getfixturevalue("database"))
    return memory_adapters()


@pytest.fixture
async def live(request: pytest.FixtureRequest, adapters: Adapters) -> AsyncIterator[Live]:
    """Return the feed under test."""
    if request.node.callspec.params["adapters"] == "memory":
        assert isinstance(adapters.orders, MemoryOrderStore)
        yield Live(MemoryLiveFeed(adapters.orders), Clerk(adapters.orders))
        return
    async with a_feed(adapters.log) as listening:
        yield Live(listening.feed, Clerk(adapters.orders))


async def test_an_order_is_sent_as_a_snapshot_and_then_change_by_change_until_it_is_final(live: Live) -> None:
    (order_id,) = await live.clerk.store(1)
    async with aclosing(_each(live.feed.order(order_id, account_id="alice", after_version=None))) as items:
        (first,) = await _take(items, 1)
        recorded = await live.clerk.record({order_id: [accepted(), filled("40"), filled("60", name="E2")]})
        rest = await _all(items)

    assert getattr(first, "version", None) == 1
    assert rest == list(recorded)


async def test_a_version_that_was_seen_is_followed_by_the_later_changes(live: Live) -> None:
    (order_id,) = await live.clerk.store(1)
    recorded = await live.clerk.record({order_id: [accepted(), filled("40"), ended(End.CANCELED)]})

    assert await _all(_each(live.feed.order(order_id, account_id=None, after_version=2))) == list(recorded[1:])


async def test_the_newest_version_is_up_to_date(live: Live) -> None:
    (order_id,) = await live.clerk.store(1)
    async with aclosing(_each(live.feed.order(order_id, account_id="alice", after_version=1))) as items:
        (first,) = await _take(items, 1)
        recorded = await live.clerk.record({order_id: [accepted()]})

        assert first == UpToDate(version=1)
        assert await _take(items, 1) == list(recorded)


async def test_a_final_order_that_was_seen_has_nothing_more_to_tell(live: Live) -> None:
    (order_id,) = await live.clerk.store(1)
    await live.clerk.record({order_id: [filled("100")]})

    assert await _all(_each(live.feed.order(order_id, account_id="alice", after_version=2))) == []


async def test_a_version_from_the_future_returns_the_current_order(live: Live) -> None:
    (order_id,) = await live.clerk.store(1)
    async with aclosing(_each(live.feed.order(order_id, account_id="alice", after_version=7))) as items:
        (first,) = await _take(items, 1)

    assert getattr(first, "version", None) == 1


async def test_an_unknown_order_and_another_accounts_order_are_not_found(live: Live) -> None:
    (order_id,) = await live.clerk.store(1)

    for asked, account_id in ((order_id, "other"), (UUID(int=1), None), (UUID(int=1), "alice")):
        with pytest.raises(OrderNotFoundError):
            await _all(_each(live.feed.order(asked, account_id=account_id, after_version=None)))


async def test_an_account_gets_its_position_and_then_every_change_of_its_orders(live: Live) -> None:
    first, second, foreign = await live.clerk.store(3, accounts=("alice", "alice", "other"))
    async with aclosing(_each(live.feed.account("alice", after=None))) as items:
        opening = await _take(items, 1)
        await live.clerk.record({foreign: [accepted(venue_order_id="V3")]})
        recorded = [
            *await live.clerk.record({first: [accepted()]}),
            *await live.clerk.record({second: [accepted(venue_order_id="V2")]}),
        ]

        assert opening == [Checkpoint(sequence=2)]
        assert await _take(items, 2) == recorded


async def test_an_account_gets_everything_since_a_sequence(live: Live) -> None:
    (order_id,) = await live.clerk.store(1)
    recorded = await live.clerk.record({order_id: [accepted(), filled("40")]})

    async with aclosing(_each(live.feed.account("alice", after=1))) as items:
        assert await _take(items, 3) == [Checkpoint(sequence=1), *recorded]


async def test_a_sequence_from_the_future_is_of_another_history(live: Live) -> None:
    await live.clerk.store(2)

    async with aclosing(_each(live.feed.account("alice", after=9))) as items:
        assert await _take(items, 1) == [Reset(sequence=2)]


async def _each(steps: AsyncGenerator[Sequence[Item]]) -> AsyncGenerator[Item]:
    """Yield the items one by one: a step may return several, but at least one."""
    async with aclosing(steps):
        async for items in steps:
            assert items
            for item in items:
                yield item


async def _take(items: AsyncGenerator[Item], count: int) -> list[Item]:
    async with asyncio.timeout(WAIT_SECONDS):
        return [await anext(items) for _ in range(count)]


async def _all(items: AsyncGenerator[Item]) -> list[Item]:
    async with asyncio.timeout(WAIT_SECONDS), aclosing(items):
        return [item async for item in items]
