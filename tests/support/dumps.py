"""A database dumped and restored by PostgreSQL's own programs, as in docs/operations.md, while processes use it."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tools.devstack.installations import find_postgres

PROGRAM_TIMEOUT_SECONDS = 30.0


async def dump_database(url: str, file: Path) -> None:
    """Write the database to a file."""
    await _run("pg_dump", url, "--format=custom", "--no-owner", f"--file={file}")


async def restore_database(url: str, file: Path) -> None:
    """Make the database what it was when it was dumped, in one transaction."""
    await _run("pg_restore", url, "--clean", "--if-exists", "--single-transaction", "--no-owner", str(file))


async def _run(program: str, url: str, *options: str) -> None:
    parts = urlsplit(url)
    without_password = urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port}"))
    process = await asyncio.create_subprocess_exec(
        str(find_postgres().folder / program),
        f"--dbname={without_password}",
        *options,
        env={"PGPASSWORD": parts.password or ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PROGRAM_TIMEOUT_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
