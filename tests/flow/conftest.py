"""One complete system for tests that do not disturb it; other tests start their own."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.examples import WITHIN_SECONDS
from tests.support.node import need_program
from tests.support.processes import ROOT, running
from tests.support.proxy import Proxy, proxied
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


@pytest.fixture(scope="session")
def installed(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a copy of examples/ with its packages, and with what Relay's compiler makes of it."""
    folder = tmp_path_factory.mktemp("checkout")
    examples = shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "schema.graphql", folder)
    (examples / "node_modules").symlink_to(node_modules)
    return examples


@pytest.fixture(scope="session")
async def compiled(installed: Path) -> Path:
    """Provide the copy, with what Relay's compiler makes of its operations."""
    compiler = "node_modules/relay-compiler/cli.js"
    async with running([compiler], environment={}, python=need_program("node"), directory=installed) as relay:
        assert await relay.ends(within_seconds=WITHIN_SECONDS) == 0, relay.output
    return installed


@pytest.fixture
async def api_proxy(system: System) -> AsyncIterator[tuple[Proxy, str]]:
    """Provide the API behind a connection that can be cut."""
    async with proxied(system.api_url) as (proxy, url):
        yield proxy, url
