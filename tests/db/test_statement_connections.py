"""Statements share connections: one is used again, replaced when it ends, closed at the end."""

import asyncio
import os

import pytest

from db.database import Database
from db.engine import open_database
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


async def test_more_at_once_than_there_are_connections_are_served(database_url: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        open_database(
            database_url, application_name="many", pool_max_connections=4, call_timeout_seconds=1.0
        ) as database,
    ):
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(6)))

        assert len(set(await asyncio.gather(*(_pid(database) for _ in range(6))))) == 2


async def test_queued_reads_leave_a_connection_to_other_statements(database_url: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        open_database(database_url, application_name="queued", pool_max_connections=4) as database,
    ):
        reads = [asyncio.create_task(database.fetch_queued("SELECT pg_sleep(0.5)")) for _ in range(2)]
        await asyncio.sleep(0)

        await _pid(database)

        assert not any(read.done() for read in reads)
        await asyncio.gather(*reads)


async def test_a_queued_read_that_gets_no_turn_in_time_is_unavailable(database_url: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        open_database(
            database_url, application_name="late", pool_max_connections=2, call_timeout_seconds=0.3
        ) as database,
    ):
        await _pid(database)

        outcomes = await asyncio.gather(
            *(database.fetch_queued("SELECT pg_sleep(0.2)") for _ in range(3)), return_exceptions=True
        )

        assert [isinstance(outcome, UnavailableError) for outcome in outcomes] == [False, True, True]


async def test_a_connection_that_the_server_ends_is_replaced(database_url: str, database: Database) -> None:
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


async def test_a_connection_whose_call_is_given_up_is_used_no_more(database_url: str) -> None:
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
