"""Migrates the database to the newest version, and grants its roles what they need, then ends."""

import asyncio

from db.address_options import AddressError
from db.installation import InstallationPrefixError
from db.migrate import upgrade
from db.readiness import Trouble, not_ready
from db.role_statements import RoleSetup
from runtime.processes.lifecycle import Process
from runtime.settings import SettingsError

REQUIRES = ()


async def run(process: Process) -> None:
    """Run every missing migration, and store the prefix of the settings. With MIGRATE_DATABASE_URL make the roles and
    grant their privileges too; without it everything stays with the user of DATABASE_URL.

    Raises DatabaseNotReadyError, with what to do, when the database cannot be used, SettingsError when the prefix
    cannot be changed now, and RolesError when roles are missing that cannot be made.
    """
    settings, roles = process.settings, None
    if settings.migrate_database_url is None:
        settings.require("database_url")
        address = settings.database_address
    else:
        address = settings.migrate_database_url.get_secret_value()
        roles = RoleSetup(
            prefix=settings.database_role_prefix, passwords=settings.role_passwords, limits=settings.session_limits
        )
    try:
        prefix = await asyncio.to_thread(
            upgrade, address, installation_prefix=settings.installation_prefix, roles=roles
        )
    except InstallationPrefixError as error:
        raise SettingsError(str(error)) from error
    except AddressError as error:
        raise SettingsError(f"The address {error}") from error
    except Exception as error:
        trouble = not_ready(error)
        if trouble is not None and trouble.trouble is Trouble.REFUSED:
            raise SettingsError(str(trouble)) from error
        raise trouble or error from error
    process.telemetry.info("migrated", installation_prefix=prefix)
