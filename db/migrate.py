"""Brings a database to the newest shape of the tables. Needs no alembic.ini and no working directory."""

import asyncio
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db.installation import change_prefix

CONNECT_TIMEOUT_SECONDS = 5.0
LOCK_TIMEOUT_SECONDS = 60
_LOCK_KEY = 0x46_49_4C_4C  # "FILL"


def upgrade(database_url: str, revision: str = "head", *, installation_prefix: str | None = None) -> str | None:
    """Migrate the database at the plain `postgresql://` URL to the newest shape (or up to an earlier one, for a test of
    the way from there); quick when it has it already. Return the installation's prefix, None before revision 0005.

    `installation_prefix` becomes the prefix. Raises InstallationPrefixError while orders are open or processes run.

    Several processes may do so at once: one works, the others wait for it. All or nothing: everything happens in one
    transaction. Runs an event loop, so it must not be called inside one (`asyncio.to_thread` serves there).
    """
    return asyncio.run(_upgrade(database_url, revision, installation_prefix))


async def _upgrade(database_url: str, revision: str, installation_prefix: str | None) -> str | None:
    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_SECONDS)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
        # Bound to the transaction, so that it is let go of however this process ends.
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
        await connection.run_sync(_run_migrations, revision, installation_prefix)
        return await change_prefix(connection, installation_prefix)


def _run_migrations(connection: Connection, revision: str, installation_prefix: str | None) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["installation_prefix"] = installation_prefix
    command.upgrade(config, revision)
