"""Brings the database up to date, then ends."""

import asyncio

from db.migrate import upgrade
from db.readiness import not_ready
from runtime.processes.lifecycle import Process

REQUIRES = ("database_url",)


async def run(process: Process) -> None:
    """Run every migration that is missing. Raises DatabaseNotReadyError with what to do when it cannot begin."""
    try:
        await asyncio.to_thread(upgrade, process.settings.database_address)
    except Exception as error:
        raise not_ready(error) or error from error
    process.telemetry.info("migrated")
