"""Migrates the database to the newest version, then ends."""

import asyncio

from db.migrate import upgrade
from db.readiness import not_ready
from runtime.processes.lifecycle import Process

REQUIRES = ("database_url",)


async def run(process: Process) -> None:
    """Run every missing migration. Raises DatabaseNotReadyError, with what to do, when the database cannot be used."""
    try:
        await asyncio.to_thread(upgrade, process.settings.database_address)
    except Exception as error:
        raise not_ready(error) or error from error
    process.telemetry.info("migrated")
