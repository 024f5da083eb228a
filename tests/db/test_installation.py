"""The prefix: read once, compared with the setting, changed only while no order is open and no process runs."""

import asyncio

import asyncpg
import pytest

from db.engine import open_database
from db.installation import InstallationPrefixError, PostgresInstallation
from db.migrate import upgrade
from db.order_store import PostgresOrderStore
from domain.model.errors import UnavailableError
from tests.support.examples import new_order
from tests.support.postgres_stores import make_store


@pytest.fixture
def database_url(own_database_url: str) -> str:
    """Return a database whose prefix a test may change."""
    return own_database_url


async def prefix_of(url: str) -> str:
    async with open_database(url, application_name="test") as database:
        return (await PostgresInstallation(database).prefixes()).current


async def test_every_database_gets_a_prefix_of_its_own(database_url: str, migrated_template: str) -> None:
    assert await prefix_of(database_url) == await prefix_of(migrated_template)
    assert (await prefix_of(database_url)).startswith("fw")


async def test_another_prefix_in_the_settings_is_refused_with_what_to_do(database_url: str) -> None:
    stored = await prefix_of(database_url)
    async with open_database(database_url, application_name="test") as database:
        with pytest.raises(InstallationPrefixError, match=f"other, and the database's orders carry {stored}.*migrate"):
            await PostgresInstallation(database, expected="other").prefixes()
        assert (await PostgresInstallation(database, expected=stored).prefixes()).current == stored


async def test_while_the_database_is_away_the_prefix_is_not_known() -> None:
    async with open_database("postgresql://user:password@127.0.0.1:1/name", application_name="test") as database:
        with pytest.raises(UnavailableError):
            await PostgresInstallation(database).prefixes()


async def test_migrating_with_a_prefix_makes_it_the_stored_one_and_orders_of_the_former_one_stay_ours(
    database_url: str,
) -> None:
    before = await prefix_of(database_url)

    await asyncio.to_thread(upgrade, database_url, installation_prefix="first")
    await asyncio.to_thread(upgrade, database_url, installation_prefix="second")
    await asyncio.to_thread(upgrade, database_url, installation_prefix="first")
    await asyncio.to_thread(upgrade, database_url)

    async with open_database(database_url, application_name="test") as database:
        prefixes = await PostgresInstallation(database).prefixes()
    assert prefixes.current == "first"
    assert set(prefixes.former) == {before, "second"}
    assert prefixes.is_ours(f"{before}-1")


async def test_while_an_order_is_open_the_prefix_stays(database_url: str) -> None:
    before = await prefix_of(database_url)
    async with open_database(database_url, application_name="test") as database:
        store: PostgresOrderStore = make_store(database)
        await store.store(new_order())

    with pytest.raises(InstallationPrefixError, match="1 orders are open"):
        await asyncio.to_thread(upgrade, database_url, installation_prefix="other")

    assert await prefix_of(database_url) == before


@pytest.mark.parametrize("process", ["api", "worker", "ingest"])
async def test_while_a_process_runs_the_prefix_stays(database_url: str, process: str) -> None:
    before = await prefix_of(database_url)
    running = await asyncpg.connect(database_url, server_settings={"application_name": f"fillwire {process} 4711"})
    try:
        with pytest.raises(InstallationPrefixError, match=f"processes are running .fillwire {process} 4711"):
            await asyncio.to_thread(upgrade, database_url, installation_prefix="other")
        assert await asyncio.to_thread(upgrade, database_url, installation_prefix=before) == before
    finally:
        await running.close()

    assert await prefix_of(database_url) == before
