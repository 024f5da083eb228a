"""The adapters, two of each port: in memory and real."""

import pytest

from db.database import Database
from domain.ports.order_store import OrderStore
from domain.ports.readers import OrderReader
from tests.contracts.stores import Adapters, memory_adapters, postgres_adapters
from tests.support.store_driver import Clerk


@pytest.fixture(params=["memory", "PostgreSQL"])
def adapters(request: pytest.FixtureRequest) -> Adapters:
    """Return adapters that store and read orders; each uses the real clock."""
    if request.param == "memory":
        return memory_adapters()
    database: Database = request.getfixturevalue("database")
    return postgres_adapters(database)


@pytest.fixture
def store(adapters: Adapters) -> OrderStore:
    """Return the order store under test."""
    return adapters.orders


@pytest.fixture
def reader(adapters: Adapters) -> OrderReader:
    """Return the reader under test."""
    return adapters.reader


@pytest.fixture
def clerk(store: OrderStore) -> Clerk:
    """Return a clerk that stores orders and records reports through the store under test."""
    return Clerk(store)
