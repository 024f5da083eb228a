"""What the tests of the database start from: its order store, and a clerk that works with it."""

from collections.abc import AsyncIterator

import pytest

from db.database import Database
from db.order_store import PostgresOrderStore
from tests.support.postgres_stores import make_store
from tests.support.servers import PostgresServer
from tests.support.store_driver import Clerk


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    """Return the emptied database: these tests do not need separate ones."""
    return emptied_database_url


@pytest.fixture
async def own_database_url(postgres_server: PostgresServer, migrated_template: str) -> AsyncIterator[str]:
    """Create a separate database for the test, deleted after it."""
    url = await postgres_server.create_database(template=migrated_template)
    yield url
    await postgres_server.drop_database(url)


@pytest.fixture
def store(database: Database) -> PostgresOrderStore:
    """Return the order store under test."""
    return make_store(database)


@pytest.fixture
def clerk(store: PostgresOrderStore) -> Clerk:
    """Return a clerk that stores orders and records reports through the store under test."""
    return Clerk(store)
