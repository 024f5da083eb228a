"""What the tests of the database start from: an open database, its order store, and a desk that works with it."""

from collections.abc import AsyncIterator

import pytest

from db.database import Database
from db.engine import open_database
from db.order_store import PostgresOrderStore
from tests.db.desk import Desk, make_store


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The migrated database of this test, opened as a process would."""
    async with open_database(database_url, application_name="test") as database:
        yield database


@pytest.fixture
def store(database: Database) -> PostgresOrderStore:
    """The order store under test."""
    return make_store(database)


@pytest.fixture
def desk(store: PostgresOrderStore) -> Desk:
    """Accepts orders and records reports through the store under test."""
    return Desk(store)
