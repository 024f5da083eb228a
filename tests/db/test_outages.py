"""PostgreSQL unreachable, hanging or killed: callers fail within two seconds, and its return is detected."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from db.database import Database
from db.engine import open_database
from db.order_store import PostgresOrderStore
from domain.model.errors import UnavailableError
from tests.support.examples import accepted, new_order
from tests.support.postgres_stores import make_store
from tests.support.processes import eventually
from tests.support.servers import PostgresServer
from tests.support.store_driver import Clerk

ANSWER_SECONDS = 2.0
RECOVERY_SECONDS = 10.0


async def test_a_server_that_is_not_there_is_unavailable_immediately() -> None:
    # A port of the reserved range, without a listener.
    url = "postgresql://nobody@127.0.0.1:1/none"
    async with open_database(url, application_name="test") as database, _answering_in_time():
        with pytest.raises(UnavailableError):
            await make_store(database).store(new_order())


async def test_a_killed_server_is_unavailable_and_its_successor_is_used_immediately(
    postgres_server: PostgresServer, store: PostgresOrderStore, clerk: Clerk
) -> None:
    await clerk.store(10)
    await postgres_server.server.crash()

    # The connections of the killed server are still in the pool; no caller may get one.
    stored = await store.store(new_order(client_order_id="after"))

    assert stored.change is not None
    assert stored.change.sequence == 11


async def test_a_server_that_hangs_is_unavailable_in_time_and_then_recovers(
    postgres_server: PostgresServer, store: PostgresOrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    with _stopped(postgres_server):
        async with _answering_in_time():
            answers = await asyncio.gather(
                store.store(new_order(client_order_id="while it hangs")),
                *(store.load([order_id]) for _ in range(30)),
                return_exceptions=True,
            )

    assert [type(answer) for answer in answers] == [UnavailableError] * 31
    await eventually(lambda: _is_back(store), within_seconds=RECOVERY_SECONDS)


async def test_a_caller_that_is_cancelled_while_the_server_hangs_returns_immediately(
    postgres_server: PostgresServer, store: PostgresOrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    with _stopped(postgres_server):
        call = asyncio.create_task(store.load([order_id]))
        await asyncio.wait([call], timeout=0.1)
        call.cancel()

        done, _ = await asyncio.wait([call], timeout=0.5)

    assert call in done
    assert call.cancelled()


async def test_a_lock_held_by_another_transaction_makes_a_write_unavailable_in_time(
    database_url: str, store: PostgresOrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    keeper = await asyncpg.connect(database_url)
    try:
        async with keeper.transaction():
            await keeper.execute("SELECT FROM orders FOR UPDATE")

            async with _answering_in_time():
                with pytest.raises(UnavailableError):
                    await clerk.record({order_id: [accepted()]})
    finally:
        await keeper.close()

    assert await store.oldest_due() is not None


async def test_a_call_that_gets_no_connection_is_unavailable_and_the_canceled_call_ends(
    database_url: str, database: Database
) -> None:
    async with open_database(
        database_url, application_name="small pool", pool_max_connections=2, call_timeout_seconds=0.3
    ) as small:
        answers = await asyncio.gather(*(small.fetch("SELECT pg_sleep(4)") for _ in range(3)), return_exceptions=True)

        assert [type(answer) for answer in answers] == [UnavailableError] * 3
        # The connection with a running statement was closed, and another one replaces it.
        await eventually(lambda: _answers(small), within_seconds=RECOVERY_SECONDS)
        # The server notices too: the canceled statement holds no locks.
        await eventually(lambda: _no_sleep(database), within_seconds=2)


async def test_a_connection_on_which_the_server_has_sent_its_last_message_is_unavailable_and_not_reused(
    database_url: str, database: Database
) -> None:
    async with _whose_ends_come_late(database_url) as url, open_database(url, application_name="idle") as idle:
        await idle.fetch("SELECT 1")
        await database.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'idle'")
        await eventually(lambda: _no_call(database, "idle"), within_seconds=2)

        with pytest.raises(UnavailableError):
            await idle.fetch("SELECT 1")
        assert await _answers(idle)


async def _is_back(store: PostgresOrderStore) -> bool:
    try:
        return await store.oldest_due() is not None
    except UnavailableError:
        return False


async def _no_sleep(database: Database) -> bool:
    return not await database.fetch("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")


async def _no_call(database: Database, name: str) -> bool:
    return not await database.fetch("SELECT FROM pg_stat_activity WHERE application_name = $1", name)


@asynccontextmanager
async def _whose_ends_come_late(url: str) -> AsyncIterator[str]:
    """Proxy the server, but delay the close of its connections."""
    parts, relays = urlsplit(url), set[asyncio.Task[None]]()

    async def forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            sink.write(data)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        relays.add(task)
        there_reader, there_writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            await asyncio.gather(forward(reader, there_writer), forward(there_reader, writer), return_exceptions=True)
        finally:
            there_writer.close()
            writer.close()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))
        for task in relays:
            task.cancel()
        await asyncio.gather(*relays, return_exceptions=True)


async def _answers(database: Database) -> bool:
    try:
        return bool(await database.fetch("SELECT 1"))
    except UnavailableError:
        return False


@asynccontextmanager
async def _answering_in_time() -> AsyncIterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < ANSWER_SECONDS


@contextmanager
def _stopped(server: PostgresServer) -> Iterator[None]:
    """Pause the server: its kernel accepts connections, and it sends nothing."""
    processes = _family(server.server.pid())
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def _family(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children")
    if not children.exists():
        pytest.skip("finding the server's processes needs Linux")
    return [process, *(int(child) for child in children.read_text().split())]
