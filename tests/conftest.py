"""Fixtures of all tests: real servers, a migrated database for each test, an emptied Redis."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import hypothesis
import pytest
from redis.asyncio import Redis

from tests.support.node import install_modules
from tests.support.servers import PostgresServer, TestServer, running_postgres, running_valkey
from tests.support.thoroughness import be_thorough

if TYPE_CHECKING:
    from db.database import Database

FUZZ_CASES = 10_000
# Two shared cores make the time of one example meaningless. In CI the examples are the same every time, so that a
# change is judged by what it does; a developer's runs look further, and keep what they find in .hypothesis.
hypothesis.settings.register_profile("developer", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for the number of examples and for the folder of a picture of GraphiQL."""
    parser.addoption("--thorough", action="store_true", help="try two to five times the examples, where they are many")
    parser.addoption("--model-histories", type=int, help="histories of the subscription model")
    parser.addoption("--graphiql-picture", help="the browser's test keeps a picture of the page in this file")
    parser.addoption(
        "--fuzz", action="store_true", help=f"{FUZZ_CASES} cases of each fuzz test (or as FUZZ_CASES says)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set the number of examples, before the tests are imported."""
    if config.getoption("thorough"):
        be_thorough()
    if config.getoption("fuzz"):
        os.environ.setdefault("FUZZ_CASES", str(FUZZ_CASES))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Start a real PostgreSQL for the whole run, never the one that DATABASE_URL names."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """Start a real Valkey for the whole run, never the one that REDIS_URL names."""
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
async def migrated_template(postgres_server: PostgresServer) -> str:
    """Create a database with Fillwire's tables, migrated once and copied for each test, and return its URL."""
    from tests.support.migrated import migrate  # noqa: PLC0415  # Tests without a database need not wait for these imports.

    url = await postgres_server.create_database()
    # In a thread, because migrations run an event loop of their own.
    await asyncio.to_thread(migrate, url)
    return url


@pytest.fixture
async def database_url(postgres_server: PostgresServer, migrated_template: str) -> AsyncIterator[str]:
    """Create a fresh database with Fillwire's tables, deleted after the test."""
    url = await postgres_server.create_database(template=migrated_template)
    yield url
    await postgres_server.drop_database(url)


@pytest.fixture(scope="session")
async def shared_database_url(postgres_server: PostgresServer, migrated_template: str) -> str:
    """Create one migrated database for all tests that use `database`."""
    return await postgres_server.create_database(template=migrated_template)


@pytest.fixture
async def emptied_database_url(shared_database_url: str) -> str:
    """Return the shared database, emptied: ten times faster than a fresh one."""
    from db.columns import metadata  # noqa: PLC0415  # As above.

    connection = await asyncpg.connect(shared_database_url)
    try:
        emptied = (table.name for table in metadata.sorted_tables if table.name != "installation")
        # As a replica, so that the trigger of the audit trail, which is append-only, does not fire.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(f"TRUNCATE {', '.join(emptied)}")
    finally:
        await connection.close()
    return shared_database_url


@pytest.fixture
async def database(emptied_database_url: str) -> AsyncIterator["Database"]:
    """Open the emptied database as a process would."""
    from db.engine import open_database  # noqa: PLC0415  # As above.

    async with open_database(emptied_database_url, application_name="test") as database:
        yield database


@pytest.fixture
async def redis_url(valkey_server: TestServer) -> str:
    """Return the URL of an emptied Valkey."""
    async with Redis.from_url(valkey_server.url) as redis:
        await redis.flushall()
    return valkey_server.url


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Return the folder of the locked npm packages."""
    return install_modules()
