"""Two API processes for the tests that need no settings of their own."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.security.two_apis import HEADS, TwoApis, mint
from tests.support.proxy import proxied
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import open_system


@pytest.fixture(scope="session")
async def shared_apis(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[TwoApis]:
    """Two API processes for all of these tests."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/3"
    async with (
        proxied(database_url) as (database, to_database),
        open_system(database_url=to_database, redis_url=redis_url) as system,
    ):
        await system.sync_instruments()
        await system.start(*HEADS)
        yield TwoApis(system=system, database=database, database_url=database_url)


@pytest.fixture
async def apis(shared_apis: TwoApis) -> AsyncIterator[TwoApis]:
    """Return both, with their database before the test and after it. Each test has its own accounts."""
    yield shared_apis
    await shared_apis.database.restore()
    await asyncio.gather(*(shared_apis.becomes(200, mint("nobody"), head=head) for head in HEADS))
