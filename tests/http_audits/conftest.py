"""One API with the settings of production, for checks that change nothing in it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.audited_api import AuditedApi, running_api
from tests.support.servers import PostgresServer, TestServer


@pytest.fixture(scope="session")
async def production(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[AuditedApi]:
    """Run an API as in production."""
    database_url = await postgres_server.create_database(template=migrated_template)
    async with running_api(database_url=database_url, redis_url=valkey_server.url) as api:
        yield api
