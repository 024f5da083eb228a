"""The installation's identity: the prefix of its orders at the venue, stored in the one row of `installation`."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.database import Database
from domain.model.errors import FillwireError
from domain.model.order_identity import InstallationPrefixes
from domain.ports.installation import Installation

READ = "SELECT i.prefix, i.former_prefixes FROM installation AS i"
IS_THERE = "SELECT to_regclass('installation') IS NOT NULL"
# The result stays valid until the change is committed: meanwhile nothing is stored and no attempt is recorded.
LOCK_ORDERS = "LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE"
OPEN_ORDERS = """
SELECT count(*) FROM orders AS o
WHERE (o.submit_due_at IS NOT NULL OR o.is_open_at_venue)
  AND o.status NOT IN ('CANCELED', 'EXPIRED', 'FAILED', 'FILLED', 'REJECTED')
"""
# A process reads the prefix once. With the old one it would treat orders with the new one as external.
RUNNING = """
SELECT DISTINCT a.application_name FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.application_name ~ '^fillwire (api|worker|ingest)( |$)'
ORDER BY a.application_name
"""
CHANGE = """
UPDATE installation AS i SET
    prefix = :prefix, former_prefixes = array_remove(i.former_prefixes, :prefix) || i.prefix
"""


class InstallationPrefixError(FillwireError):
    """The prefix of the settings is not the stored one, or cannot become it; the message has the fix."""


class PostgresInstallation(Installation):
    """Reads the prefixes once. `expected` is the prefix of the settings, None when they name none."""

    def __init__(self, database: Database, *, expected: str | None = None) -> None:
        self._database = database
        self._expected = expected
        self._prefixes: InstallationPrefixes | None = None

    async def prefixes(self) -> InstallationPrefixes:
        """Return the prefixes. Raises UnavailableError, and InstallationPrefixError when another one is expected."""
        if self._prefixes is None:
            (row,) = await self._database.fetch(READ)
            read = InstallationPrefixes(current=row["prefix"], former=tuple(row["former_prefixes"]))
            if self._expected not in (None, read.current):
                raise InstallationPrefixError(
                    f"INSTALLATION_PREFIX is {self._expected}, and the database's orders carry {read.current}. Unset "
                    "it, or stop all processes and run `python -m runtime migrate` to change the stored one."
                )
            self._prefixes = read
        return self._prefixes


async def change_prefix(connection: AsyncConnection, wanted: str | None) -> str | None:
    """Make `wanted` the stored prefix, in the connection's transaction; return the prefix, None where there is none.

    Raises InstallationPrefixError while orders are open or processes run.
    """
    if not await connection.scalar(text(IS_THERE)):
        return None
    stored: str = (await connection.execute(text(READ))).one().prefix
    if wanted in (None, stored):
        return stored
    await connection.execute(text(LOCK_ORDERS))
    open_orders = await connection.scalar(text(OPEN_ORDERS))
    running = (await connection.scalars(text(RUNNING))).all()
    if open_orders or running:
        reasons = [f"{open_orders} orders are open"] if open_orders else []
        reasons += [f"processes are running ({', '.join(running)})"] if running else []
        raise InstallationPrefixError(
            f"The prefix {stored} of this installation cannot become {wanted}: {' and '.join(reasons)}."
        )
    await connection.execute(text(CHANGE), {"prefix": wanted})
    return wanted
