"""Brings a database to the newest shape of the tables. Needs no alembic.ini and no working directory."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from db.address import read_address
from db.connector import Connector
from db.failures import sqlstate
from db.installation import change_prefix
from db.role_statements import RolesError, RoleSetup, granting, making_roles, quoted, role_names
from db.roles import Role
from db.scram import scram_verifier
from db.trading_halts import wait_function

CONNECT_TIMEOUT_SECONDS = 5.0
LOCK_TIMEOUT_SECONDS = 60
HEAD = "head"
INSUFFICIENT_PRIVILEGE = "42501"
BY_ANOTHER_USER = (
    "Have the script of `python -m runtime migrate --print-roles` run by a user with CREATEROLE, "
    "then migrate as the owner."
)
_LOCK_KEY = 0x46_49_4C_4C  # "FILL"

USER = """
SELECT current_user AS name, current_database() AS database, r.rolsuper OR r.rolcreaterole AS may_create_roles
FROM pg_roles AS r WHERE r.rolname = current_user
"""
EXISTING = "SELECT r.rolname FROM pg_roles AS r WHERE r.rolname = ANY(:names)"


def upgrade(
    database_url: str,
    revision: str = HEAD,
    *,
    installation_prefix: str | None = None,
    roles: RoleSetup | None = None,
) -> str | None:
    """Migrate the database at the plain `postgresql://` URL to the newest revision (or to an earlier one, for a test);
    fast when it has it already. Return the installation's prefix, None before revision 0005.

    `installation_prefix` becomes the prefix. Raises InstallationPrefixError while orders are open or processes run.

    With `roles` their owner migrates, and each gets its privileges. They are created first if the URL's user may do
    that; otherwise RolesError when they are missing.

    Several processes may do so concurrently: one works, the others wait for it. All or nothing: everything happens in
    one transaction. Runs an event loop, so it must not be called inside one (use `asyncio.to_thread` there).
    """
    return asyncio.run(_upgrade(database_url, revision, installation_prefix, roles))


async def _upgrade(
    database_url: str, revision: str, installation_prefix: str | None, roles: RoleSetup | None
) -> str | None:
    connector = Connector(read_address(database_url), timeout_seconds=CONNECT_TIMEOUT_SECONDS)
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connector.connect, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
        # Bound to the transaction, so that it is released however this process ends.
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
        names = None if roles is None else await _become_owner(connection, roles)
        await connection.run_sync(_run_migrations, revision, installation_prefix)
        if revision == HEAD:
            schema = await connection.scalar(text("SELECT quote_ident(current_schema())"))
            await connection.exec_driver_sql(wait_function(schema))
            for statement in () if names is None else granting(names):
                await connection.exec_driver_sql(statement)
        return await change_prefix(connection, installation_prefix)


async def _become_owner(connection: AsyncConnection, roles: RoleSetup) -> Mapping[Role, str]:
    """Create the roles, if the connection's user may, and act as the owner until the transaction ends; return the
    roles' names. Raises RolesError.
    """
    user = (await connection.execute(text(USER))).one()
    names = role_names(roles.prefix or user.database)
    if user.may_create_roles:
        try:
            for statement in making_roles(names, database=user.database, limits=roles.limits):
                await connection.exec_driver_sql(statement)
            for role, password in roles.passwords.items():
                verifier = scram_verifier(password)
                await connection.exec_driver_sql(f"ALTER ROLE {quoted(names[role])} PASSWORD '{verifier}'")
        except DBAPIError as error:
            if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
                raise
            raise RolesError(f"{user.name} may not make the roles: {error.orig}. {BY_ANOTHER_USER}") from error
    existing = set(await connection.scalars(text(EXISTING), {"names": list(names.values())}))
    if missing := [name for name in names.values() if name not in existing]:
        raise RolesError(
            f"{user.name} may not create roles, and these are missing: {', '.join(missing)}. {BY_ANOTHER_USER}"
        )
    await connection.exec_driver_sql(f"SET LOCAL ROLE {quoted(names[Role.OWNER])}")
    return names


def _run_migrations(connection: Connection, revision: str, installation_prefix: str | None) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["installation_prefix"] = installation_prefix
    command.upgrade(config, revision)
