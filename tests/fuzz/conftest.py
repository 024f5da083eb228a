"""One API for all fuzzing, with everything allowed that settings can allow in production."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.fuzz.client import FuzzClient
from tests.support.audited_api import AuditedApi, import_instruments, running_api
from tests.support.servers import PostgresServer, TestServer

ALLOWED = {
    "GET_QUERIES_ALLOWED": "true",
    "DOCUMENTS": "apq",
    "ALLOWED_ORIGINS": "https://desk.example",
    # Rate limits would refuse nearly every case before it is read.
    "REQUESTS_PER_SECOND_MAX": "100000",
    "REQUESTS_BURST_MAX": "100000",
    "REQUESTS_UNAUTHENTICATED_PER_SECOND_MAX": "100000",
    "DOCUMENTS_NEW_PER_SECOND_MAX": "100000",
    "DOCUMENTS_NEW_BURST_MAX": "100000",
    "SOCKETS_OPENED_PER_SECOND_MAX": "100000",
}
LOGGED_ERRORS = ("unexpected_error", "Traceback")


@pytest.fixture(scope="session")
async def fuzzed_database(
    postgres_server: PostgresServer, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Return a database with one instrument."""
    url = await postgres_server.create_database(template=migrated_template)
    await import_instruments(tmp_path_factory.mktemp("instruments"), database_url=url)
    return url


@pytest.fixture(scope="session")
async def fuzzed_api(fuzzed_database: str, valkey_server: TestServer) -> AsyncIterator[AuditedApi]:
    """Run the API. At the end its log must not contain unexpected errors."""
    async with running_api(database_url=fuzzed_database, redis_url=valkey_server.url, settings=ALLOWED) as api:
        yield api
        assert not [line for line in api.process.output if any(word in line for word in LOGGED_ERRORS)]


@pytest.fixture
async def fuzz_by(
    fuzzed_api: AuditedApi, fuzzed_database: str
) -> AsyncIterator[Callable[[Callable[[FuzzClient], None]], object]]:
    """Run a case in a thread with a client, and print its requests."""
    loop = asyncio.get_running_loop()
    database = await asyncpg.connect(fuzzed_database)

    def count_orders() -> int:
        counting = database.fetchval("SELECT count(*) FROM orders")
        return int(asyncio.run_coroutine_threadsafe(counting, loop).result())

    async def run(story: Callable[[FuzzClient], None]) -> None:
        port = urlsplit(fuzzed_api.url).port
        assert port is not None
        client = FuzzClient(
            port=port, count_orders=count_orders, orders=await database.fetchval("SELECT count(*) FROM orders")
        )
        try:
            await asyncio.to_thread(story, client)
        finally:
            client.close()
        print(json.dumps({"statuses": client.statuses, "codes": client.codes, "orders": client.orders}))  # noqa: T201 - for pytest -s

    yield run
    await database.close()
