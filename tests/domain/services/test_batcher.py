"""The batcher: a single call immediately, concurrent calls together, and no call fails because of another."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from domain.model.errors import UnavailableError, VersionConflictError
from domain.ports.telemetry import REQUEST_ID
from domain.services.batcher import Batcher
from tests.support.processes import eventually


@dataclass(slots=True)
class Shelf:
    """Stores items when released; refuses a batch with a bad item."""

    batches: list[list[str]] = field(default_factory=list)
    let: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None

    async def store(self, items: Sequence[str]) -> list[str]:
        self.batches.append(list(items))
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        if "bad" in items:
            raise ValueError("bad")
        if "stale" in items:
            raise VersionConflictError
        return [item.upper() for item in items]


@pytest.fixture
def shelf() -> Shelf:
    """Return a shelf that waits to be released."""
    return Shelf()


@pytest.fixture
def waiting(shelf: Shelf) -> Batcher[str, str]:
    """Return a batcher with a queue of five in front of the shelf, in batches of three."""
    return Batcher(shelf.store, batch_max_items=3, queue_max_items=5)


async def test_the_first_is_sent_immediately_and_the_others_are_collected(
    shelf: Shelf, waiting: Batcher[str, str]
) -> None:
    first = asyncio.create_task(waiting.submit("a"))
    await eventually(lambda: shelf.batches, within_seconds=1)
    others = [asyncio.create_task(waiting.submit(item)) for item in "bcde"]
    await asyncio.wait(others, timeout=0)
    shelf.let.set()

    results = await asyncio.gather(first, *others)

    assert shelf.batches == [["a"], ["b", "c", "d"], ["e"]]
    assert results == ["A", "B", "C", "D", "E"]


async def test_one_submitted_as_the_last_batch_ends_is_flushed(shelf: Shelf, waiting: Batcher[str, str]) -> None:
    shelf.let.set()

    async with asyncio.timeout(5):
        for number in range(200):
            one, other = await asyncio.gather(waiting.submit(f"a{number}"), waiting.submit(f"b{number}"))
            assert (one, other) == (f"A{number}", f"B{number}")


async def test_a_full_queue_refuses_immediately(shelf: Shelf, waiting: Batcher[str, str]) -> None:
    first = asyncio.create_task(waiting.submit("a"))
    await eventually(lambda: shelf.batches, within_seconds=1)
    others = [asyncio.create_task(waiting.submit(item)) for item in "bcdef"]
    await asyncio.wait(others, timeout=0)

    with pytest.raises(UnavailableError):
        await waiting.submit("g")

    shelf.let.set()
    await asyncio.gather(first, *others)


async def test_one_that_cannot_be_stored_fails_without_the_others(shelf: Shelf, waiting: Batcher[str, str]) -> None:
    shelf.let.set()

    results = await asyncio.gather(*map(waiting.submit, ("a", "bad", "b")), return_exceptions=True)

    assert results[0] == "A"
    assert isinstance(results[1], ValueError)
    assert results[2] == "B"


async def test_one_that_a_concurrent_writer_changed_fails_alone(shelf: Shelf, waiting: Batcher[str, str]) -> None:
    shelf.let.set()

    results = await asyncio.gather(*map(waiting.submit, ("a", "b", "stale")), return_exceptions=True)

    assert results[:2] == ["A", "B"]
    assert isinstance(results[2], VersionConflictError)
    assert shelf.batches == [["a", "b", "stale"], ["a"], ["b", "stale"], ["b"], ["stale"]]


async def test_when_the_database_is_away_all_are_told_after_one_try(shelf: Shelf, waiting: Batcher[str, str]) -> None:
    shelf.failure = UnavailableError()
    shelf.let.set()

    results = await asyncio.gather(*map(waiting.submit, "abc"), return_exceptions=True)

    assert [type(result) for result in results] == [UnavailableError] * 3
    assert len(shelf.batches) == 1


async def test_a_cancelled_caller_disturbs_no_other(shelf: Shelf, waiting: Batcher[str, str]) -> None:
    first, second = (asyncio.create_task(waiting.submit(item)) for item in "ab")
    await eventually(lambda: shelf.batches, within_seconds=1)
    queued = asyncio.create_task(waiting.submit("c"))
    await asyncio.wait([queued], timeout=0)

    first.cancel()
    queued.cancel()
    shelf.let.set()

    assert await second == "B"
    assert await waiting.submit("d") == "D"
    assert first.cancelled()
    assert shelf.batches == [["a", "b"], ["d"]]


async def test_waiting_callers_of_a_hung_database_fail_with_the_first(shelf: Shelf, waiting: Batcher[str, str]) -> None:
    shelf.failure = UnavailableError()
    first = asyncio.create_task(waiting.submit("a"))
    await eventually(lambda: shelf.batches, within_seconds=1)
    others = [asyncio.create_task(waiting.submit(item)) for item in "bcde"]
    await asyncio.wait(others, timeout=0)
    shelf.let.set()

    results = await asyncio.gather(first, *others, return_exceptions=True)
    shelf.failure = None

    assert [type(result) for result in results] == [UnavailableError] * 5
    assert shelf.batches == [["a"]]
    assert await waiting.submit("f") == "F"


async def test_a_batch_is_logged_under_no_single_callers_request(shelf: Shelf) -> None:
    requests: list[str | None] = []

    async def store(items: Sequence[str]) -> list[str]:
        requests.append(REQUEST_ID.get())
        return await shelf.store(items)

    batcher = Batcher(store, batch_max_items=3, queue_max_items=5)

    async def place(item: str) -> str:
        REQUEST_ID.set(item)
        return await batcher.submit(item)

    shelf.let.set()
    assert await asyncio.gather(*(place(item) for item in "abc")) == ["A", "B", "C"]
    assert set(requests) == {None}
