"""Migrates the database to the newest version, then ends."""

import asyncio

from db.installation import InstallationPrefixError
from db.migrate import upgrade
from db.readiness import not_ready
from runtime.processes.lifecycle import Process
from runtime.settings import SettingsError

REQUIRES = ("database_url",)


async def run(process: Process) -> None:
    """Run every missing migration, and store the prefix of the settings.

    Raises DatabaseNotReadyError, with what to do, when the database cannot be used, and SettingsError when the prefix
    cannot be changed now.
    """
    try:
        prefix = await asyncio.to_thread(
            upgrade, process.settings.database_address, installation_prefix=process.settings.installation_prefix
        )
    except InstallationPrefixError as error:
        raise SettingsError(str(error)) from error
    except Exception as error:
        raise not_ready(error) or error from error
    process.telemetry.info("migrated", installation_prefix=prefix)
