"""The buffer between the socket and the database: bounded, in order, in batches."""

import asyncio
from datetime import timedelta

import pytest

from ingest.buffer import Buffer, BufferFullError

LONG = timedelta(hours=1)
SOON = timedelta(milliseconds=5)


@pytest.fixture
async def busy() -> asyncio.Future[None]:
    """Return an event that is set while work is running."""
    return asyncio.get_running_loop().create_future()


def buffer_of(*items: int) -> Buffer[int]:
    buffer: Buffer[int] = Buffer(items_max=100)
    buffer.put(items)
    return buffer


async def taking(buffer: Buffer[int], busy: asyncio.Future[None], *, items_max: int = 5) -> asyncio.Task[list[int]]:
    """Start a task that waits for a batch."""

    async def take() -> list[int]:
        return list(await buffer.take(items_max=items_max, within=LONG, busy=busy))

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    return task


async def test_available_items_are_taken_immediately_and_in_order_while_idle(busy: asyncio.Future[None]) -> None:
    busy.set_result(None)

    assert await buffer_of(0, 1, 2, 3, 4).take(items_max=500, within=LONG, busy=busy) == [0, 1, 2, 3, 4]


async def test_the_first_one_while_idle_waits_for_no_other(busy: asyncio.Future[None]) -> None:
    busy.set_result(None)
    buffer = buffer_of()
    batch = await taking(buffer, busy)

    buffer.put([1])

    assert await batch == [1]


async def test_a_batch_has_no_more_than_its_bound(busy: asyncio.Future[None]) -> None:
    buffer = buffer_of(0, 1, 2, 3, 4)

    assert await buffer.take(items_max=3, within=LONG, busy=busy) == [0, 1, 2]
    assert len(buffer) == 2


async def test_items_that_arrive_while_busy_are_collected_until_idle(busy: asyncio.Future[None]) -> None:
    buffer = buffer_of(1)
    batch = await taking(buffer, busy)

    buffer.put([2])
    await asyncio.sleep(0)
    buffer.put([3])
    busy.set_result(None)

    assert await batch == [1, 2, 3]


async def test_it_stops_collecting_at_a_full_batch(busy: asyncio.Future[None]) -> None:
    buffer = buffer_of(1)
    batch = await taking(buffer, busy, items_max=3)

    buffer.put([2])
    buffer.put([3])
    buffer.put([4])

    assert await batch == [1, 2, 3]


async def test_work_that_ended_while_empty_does_not_delay_the_next_item(busy: asyncio.Future[None]) -> None:
    buffer = buffer_of()
    batch = await taking(buffer, busy)
    busy.set_result(None)
    await asyncio.sleep(0)

    buffer.put([1])

    assert await batch == [1]


async def test_it_collects_no_longer_than_allowed(busy: asyncio.Future[None]) -> None:
    async with asyncio.timeout(1):
        assert await buffer_of(1).take(items_max=500, within=SOON, busy=busy) == [1]


async def test_what_does_not_fit_as_a_whole_is_refused_as_a_whole(busy: asyncio.Future[None]) -> None:
    buffer: Buffer[int] = Buffer(items_max=3)
    buffer.put([1, 2])

    with pytest.raises(BufferFullError):
        buffer.put([3, 4])
    buffer.put([5])

    busy.set_result(None)
    assert await buffer.take(items_max=500, within=LONG, busy=busy) == [1, 2, 5]


async def test_a_full_buffer_refuses_instead_of_waiting() -> None:
    buffer: Buffer[int] = Buffer(items_max=1)
    buffer.put([1])

    with pytest.raises(BufferFullError):
        buffer.put([2])
