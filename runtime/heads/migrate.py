"""Brings the database up to date, then ends."""

import asyncio

from db.migrate import upgrade
from runtime.process import Process

REQUIRES = ("database_url",)


async def run(process: Process) -> None:
    """Run every migration that is missing."""
    await asyncio.to_thread(upgrade, process.settings.database_address)
    process.telemetry.info("migrated")
