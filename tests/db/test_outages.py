"""When PostgreSQL is away, hangs or is killed: the callers know within two seconds, and it is noticed when it is back."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from db.database import Database
from db.engine import open_database
from db.order_store import PostgresOrderStore
from domain.errors import Unavailable
from tests.db.desk import Desk, make_store
from tests.orders import new_order
from tests.processes import eventually
from tests.servers import PostgresServer

ANSWER_SECONDS = 2.0
RECOVERY_SECONDS = 10.0


async def test_a_server_that_is_not_there_is_unavailable_at_once() -> None:
    # A port of the reserved range, where nobody listens.
    async with open_database("postgresql://nobody@127.0.0.1:1/none", application_name="test") as database:
        async with _answering_in_time():
            with pytest.raises(Unavailable):
                await make_store(database).accept(new_order())


async def test_a_killed_server_is_unavailable_and_its_successor_is_used_at_once(
    postgres_server: PostgresServer, store: PostgresOrderStore, desk: Desk
) -> None:
    await desk.accept(10)
    await postgres_server.server.crash()

    # The connections of the dead server lie in the pool still; nobody may be given one.
    stored = await store.accept(new_order(client_order_id="after"))

    assert stored.change is not None
    assert stored.change.sequence == 11


async def test_a_server_that_hangs_is_unavailable_in_time_and_then_recovers(
    postgres_server: PostgresServer, store: PostgresOrderStore, desk: Desk
) -> None:
    (order_id,) = await desk.accept(1)
    with _stopped(postgres_server):
        async with _answering_in_time():
            answers = await asyncio.gather(
                store.accept(new_order(client_order_id="while it hangs")),
                *(store.load([order_id], []) for _ in range(30)),
                return_exceptions=True,
            )

    assert [type(answer) for answer in answers] == [Unavailable] * 31
    await eventually(lambda: _is_back(store), within_seconds=RECOVERY_SECONDS)


async def test_a_caller_that_is_cancelled_while_the_server_hangs_is_let_go_at_once(
    postgres_server: PostgresServer, store: PostgresOrderStore, desk: Desk
) -> None:
    (order_id,) = await desk.accept(1)
    with _stopped(postgres_server):
        call = asyncio.create_task(store.load([order_id], []))
        await asyncio.wait([call], timeout=0.1)
        call.cancel()

        done, _ = await asyncio.wait([call], timeout=0.5)

    assert call in done
    assert call.cancelled()


async def test_a_lock_that_somebody_keeps_makes_a_write_unavailable_in_time(
    database_url: str, database: Database, desk: Desk
) -> None:
    (order_id,) = await desk.accept(1)
    async with open_database(database_url, application_name="the one who keeps it", call_timeout_seconds=10) as other:
        keeping = asyncio.create_task(other.fetch("SELECT pg_sleep(3) FROM orders FOR UPDATE"))
        await eventually(lambda: _is_kept(database), within_seconds=5)

        async with _answering_in_time():
            with pytest.raises(Unavailable):
                await database.fetch("UPDATE orders SET attempt = 1 WHERE id = $1", order_id)

        keeping.cancel()
        await asyncio.wait([keeping])


async def test_too_many_connections_are_unavailable(database_url: str) -> None:
    async with open_database(
        database_url, application_name="small pool", pool_max_connections=1, call_timeout_seconds=0.3
    ) as database:
        sleeping = asyncio.create_task(database.fetch("SELECT pg_sleep(0.2)"))
        await asyncio.wait([sleeping], timeout=0.1)
        busy = [database.fetch("SELECT pg_sleep(0.29)") for _ in range(3)]

        answers = await asyncio.gather(*busy, return_exceptions=True)

        assert Unavailable in {type(answer) for answer in answers}
        await sleeping


async def _is_back(store: PostgresOrderStore) -> bool:
    try:
        return await store.oldest_due() is not None
    except Unavailable:
        return False


async def _is_kept(database: Database) -> bool:
    return bool(await database.fetch("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


@asynccontextmanager
async def _answering_in_time() -> AsyncIterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < ANSWER_SECONDS


@contextmanager
def _stopped(server: PostgresServer) -> Iterator[None]:
    """The server accepts connections (its kernel does), and says nothing any more."""
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
