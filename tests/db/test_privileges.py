"""A process detects immediately that its login belongs to another role."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from db.database import Database
from db.engine import open_database
from db.privileges import require_privileges
from db.readiness import DatabaseNotReadyError, Trouble
from db.roles import PROCESS_ROLES, Role
from tests.support.servers import PostgresServer
from tools.devstack.database_roles import role_url

SERVING = (Role.API, Role.WORKER, Role.INGEST)


@asynccontextmanager
async def logged_in(url: str) -> AsyncIterator[Database]:
    """Return the database of the login."""
    async with open_database(url, application_name="test", pool_max_connections=2) as database:
        yield database


@pytest.mark.parametrize("role", PROCESS_ROLES)
async def test_a_role_has_all_that_its_process_needs(shared_database_url: str, role: Role) -> None:
    async with logged_in(role_url(shared_database_url, role)) as database:
        await require_privileges(database, role)


@pytest.mark.parametrize("needed", SERVING)
@pytest.mark.parametrize("given", PROCESS_ROLES)
async def test_the_role_of_another_process_is_reported(shared_database_url: str, needed: Role, given: Role) -> None:
    if given is needed:
        return
    async with logged_in(role_url(shared_database_url, given)) as database:
        with pytest.raises(DatabaseNotReadyError) as reported:
            await require_privileges(database, needed)

    assert reported.value.trouble is Trouble.WRONG_ROLE
    assert f"fillwire_{given} of DATABASE_URL" in str(reported.value)
    assert f"ends with _{needed}" in str(reported.value)


@pytest.mark.parametrize("role", PROCESS_ROLES)
async def test_a_superuser_may_do_everything(shared_database_url: str, role: Role) -> None:
    async with logged_in(shared_database_url) as database:
        await require_privileges(database, role)


async def test_one_privilege_that_was_taken_is_named(postgres_server: PostgresServer, migrated_template: str) -> None:
    url = await postgres_server.create_database(template=migrated_template)
    owner = await asyncpg.connect(url)
    try:
        async with logged_in(role_url(url, Role.WORKER)) as database:
            for taken in ("UPDATE (attempt) ON orders", "INSERT ON account_seals"):
                await owner.execute(f"REVOKE {taken} FROM fillwire_worker")
                with pytest.raises(DatabaseNotReadyError, match=r"UPDATE on orders\.attempt|INSERT on account_seals"):
                    await require_privileges(database, Role.WORKER)
                await owner.execute(f"GRANT {taken} TO fillwire_worker")
                await require_privileges(database, Role.WORKER)
        async with logged_in(role_url(url, Role.API)) as database:
            await owner.execute("REVOKE EXECUTE ON FUNCTION wait_for_orders_before_halts() FROM fillwire_api")
            with pytest.raises(DatabaseNotReadyError, match="EXECUTE on wait_for_orders_before_halts"):
                await require_privileges(database, Role.API)
            await owner.execute("DROP FUNCTION wait_for_orders_before_halts()")
            await owner.execute("ALTER TABLE orders RENAME COLUMN cancel_asked TO newer")
            await require_privileges(database, Role.API)
    finally:
        await owner.close()
        await postgres_server.drop_database(url)
