"""Forms of REDIS_URL with which orders are submitted by wake-ups, and followed, as with the plain one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from tests.support.servers import TestServer
from tests.support.system import open_system

READ_BYTES = 65_536
FOLLOW = "subscription { orderUpdates { kind order { status } } }"
NUMBER = 5


@pytest.fixture
async def unix_socket(valkey_server: TestServer) -> AsyncIterator[Path]:
    """Open a Unix socket that forwards to Redis."""
    target = urlsplit(valkey_server.url)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(READ_BYTES):
            sink.write(data)
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source, there = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(pump(reader, there), pump(source, writer), return_exceptions=True)

    # The path of a socket has a hundred characters at most, and pytest's folders have long names.
    with TemporaryDirectory(prefix="fillwire-") as folder:
        async with await asyncio.start_unix_server(serve, f"{folder}/redis.sock"):
            yield Path(folder, "redis.sock")


@pytest.mark.parametrize("form", ["unix", "options"])
async def test_orders_are_woken_for_and_followed(
    form: str, database_url: str, valkey_server: TestServer, unix_socket: Path
) -> None:
    login = urlsplit(valkey_server.url).netloc.rpartition("@")[0]
    redis_url = {
        "unix": f"unix://{login}@{unix_socket}?db={NUMBER}",
        "options": f"{valkey_server.url.rsplit('/', 1)[0]}/{NUMBER}?protocol=3&decode_responses=true&max_connections=1",
    }[form]
    async with open_system(database_url=database_url, redis_url=redis_url) as system:
        await system.start("api", "worker")
        async with system.socket(account=form) as socket:
            updates = await socket.subscribe(FOLLOW)
            assert (await updates.next())["orderUpdates"]["kind"] == "CHECKPOINT"
            order_id = await system.placed_id(account=form)
            await system.becomes(order_id, "PLACED", account=form)
            statuses = [(await updates.next())["orderUpdates"]["order"]["status"] for _ in range(2)]

        assert statuses == ["PENDING", "PLACED"]
        assert await system.metric("swept_orders_total", head="worker") == 0
        assert await system.metric("wake_ups_failed_total") == 0
        assert await system.metric("publishes_failed_total") == 0
