"""The hot statements keep a connection: it is used again, replaced when it ends, given back at the end."""

import asyncio
import os

import pytest

from db.database import Database
from db.engine import RESERVED_SHARE, open_database
from domain.model.errors import UnavailableError
from tests.support.processes import eventually

PROCESS = "SELECT pg_backend_pid() AS pid"
DEADLINE_SECONDS = 10.0
"""A connection that is never given back would be waited for without end."""


async def _pid(database: Database) -> int:
    return int((await database.fetch(PROCESS))[0]["pid"])


async def test_one_after_the_other_use_one_connection(database_url: str) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), open_database(database_url, application_name="one") as database:
        assert len({await _pid(database) for _ in range(5)}) == 1


async def test_the_pools_number_of_concurrent_calls_is_served(database_url: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        open_database(
            database_url, application_name="many", pool_max_connections=RESERVED_SHARE, call_timeout_seconds=1.0
        ) as database,
    ):
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(RESERVED_SHARE * 2)))

        assert len(await asyncio.gather(*(_pid(database) for _ in range(RESERVED_SHARE * 2)))) == RESERVED_SHARE * 2


async def test_sequential_reads_share_the_reserved_connections(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.database.QUEUE_WAIT_MAX_SECONDS", 10.0)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        open_database(database_url, application_name="turns", pool_max_connections=RESERVED_SHARE) as database,
    ):
        first = await _pid(database)

        reads = await asyncio.gather(*(database.fetch_queued(PROCESS) for _ in range(20)))

        assert {row["pid"] for rows in reads for row in rows} == {first}


async def test_a_read_that_waits_too_long_takes_another_connection(database_url: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        open_database(database_url, application_name="late", pool_max_connections=RESERVED_SHARE) as database,
    ):
        first = await _pid(database)
        busy = asyncio.create_task(database.fetch("SELECT pg_sleep(1)"))
        await asyncio.sleep(0)

        assert (await database.fetch_queued(PROCESS))[0]["pid"] != first

        assert not busy.done()
        await busy


async def test_a_connection_assigned_while_its_reader_is_cancelled_passes_to_the_next(database_url: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        open_database(database_url, application_name="cancelled", pool_max_connections=RESERVED_SHARE) as database,
    ):
        first = await _pid(database)

        async def hold() -> None:
            await database.fetch("SELECT pg_sleep(0.01)")
            # The connection was just assigned to the reader, which has not run since.
            reader.cancel()

        holding = asyncio.create_task(hold())
        await asyncio.sleep(0)
        reader = asyncio.create_task(database.fetch_queued(PROCESS))
        await asyncio.wait({holding, reader})

        assert reader.cancelled()
        assert await _pid(database) == first


async def test_a_reused_connection_that_the_server_ends_is_replaced(database_url: str, database: Database) -> None:
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        open_database(database_url, application_name=f"ends {os.getpid()}") as other,
    ):
        first = await _pid(other)
        await database.fetch("SELECT pg_terminate_backend($1::int)", first)

        async def is_replaced() -> bool:
            try:
                return await _pid(other) != first
            except UnavailableError:
                return False

        await eventually(is_replaced, within_seconds=2)


async def test_a_reserved_connection_whose_call_is_canceled_is_not_reused(database_url: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        open_database(database_url, application_name="slow", call_timeout_seconds=0.3) as database,
    ):
        first = await _pid(database)

        with pytest.raises(UnavailableError):
            await database.fetch("SELECT pg_sleep(5)")

        assert await _pid(database) != first


async def test_none_is_left_open_at_the_end(database_url: str, database: Database) -> None:
    name = f"left {os.getpid()}"
    async with asyncio.timeout(DEADLINE_SECONDS), open_database(database_url, application_name=name) as other:
        await asyncio.gather(*(_pid(other) for _ in range(4)))

    async def are_gone() -> bool:
        return not await database.fetch("SELECT FROM pg_stat_activity WHERE application_name = $1", name)

    await eventually(are_gone, within_seconds=2)


async def test_none_is_left_open_by_a_call_that_ends_after_the_database_was_stopped(
    database_url: str, database: Database
) -> None:
    name = f"stopped {os.getpid()}"
    async with asyncio.timeout(DEADLINE_SECONDS), open_database(database_url, application_name=name) as other:
        await _pid(other)
        late = asyncio.create_task(other.fetch("SELECT pg_sleep(0.3)"))
        await asyncio.sleep(0)
    await late

    async def are_gone() -> bool:
        return not await database.fetch("SELECT FROM pg_stat_activity WHERE application_name = $1", name)

    await eventually(are_gone, within_seconds=2)
