"""One complete system for tests that do not disturb it; other tests start their own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.servers import PostgresServer, TestServer
from tests.support.system import System, open_system

QUICK = {"PLACEMENT_SETTLE_SECONDS": "1"}


@pytest.fixture(scope="session")
async def migrated_template(postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str) -> str:
    """Create a database with tables and instruments, copied for each system, and return its URL: loading those
    takes a second.
    """
    url = await postgres_server.create_database(template=migrated_template)
    async with open_system(database_url=url, redis_url=valkey_server.url) as system:
        await system.sync_instruments()
    return url


@pytest.fixture(scope="module")
async def module_database_url(postgres_server: PostgresServer, migrated_template: str) -> AsyncIterator[str]:
    """Create a fresh database with tables and instruments for all tests of a file."""
    url = await postgres_server.create_database(template=migrated_template)
    yield url
    await postgres_server.drop_database(url)


@pytest.fixture(scope="session")
async def system(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[System]:
    """Everything running, over a database and a Redis number that no other test empties."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/1"
    async with open_system(database_url=database_url, redis_url=redis_url, settings=QUICK) as system:
        await system.start("api", "worker", "ingest")
        yield system
