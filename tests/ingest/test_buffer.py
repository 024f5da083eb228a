"""The buffer between the socket and the database: bounded, in order, in batches."""

import asyncio
from datetime import timedelta

import pytest

from ingest.buffer import Buffer, BufferFull

SOON = timedelta(milliseconds=5)


async def test_what_came_together_is_taken_together_and_in_order() -> None:
    buffer: Buffer[int] = Buffer(items_max=100)
    for number in range(5):
        buffer.put(number)

    assert await buffer.take(items_max=500, within=SOON) == [0, 1, 2, 3, 4]


async def test_a_batch_has_no_more_than_its_bound() -> None:
    buffer: Buffer[int] = Buffer(items_max=100)
    for number in range(5):
        buffer.put(number)

    assert await buffer.take(items_max=3, within=SOON) == [0, 1, 2]
    assert len(buffer) == 2


async def test_one_item_is_not_kept_waiting_for_others_that_do_not_come() -> None:
    buffer: Buffer[int] = Buffer(items_max=100)
    buffer.put(1)

    async with asyncio.timeout(1):
        assert await buffer.take(items_max=500, within=SOON) == [1]


async def test_a_full_buffer_refuses_instead_of_waiting() -> None:
    buffer: Buffer[int] = Buffer(items_max=1)
    buffer.put(1)

    with pytest.raises(BufferFull):
        buffer.put(2)
