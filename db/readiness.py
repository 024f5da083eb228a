"""Whether the database can be worked with: it answers, lets us in, and has the tables that this code knows."""

import pkgutil
from enum import StrEnum
from pathlib import Path

import asyncpg
from sqlalchemy.exc import DBAPIError

from db.database import Database
from db.failures import is_unavailability, sqlstate
from domain.model.errors import FillwireError, UnavailableError

MIGRATE = "python -m runtime migrate"
UNDEFINED_TABLE = "42P01"
TOO_MANY_CONNECTIONS = "53300"
LOGIN_REFUSED = ("28", "3D")
"""SQLSTATE classes: a wrong user or password, and a database that does not exist."""

_VERSIONS = Path(__file__).with_name("migrations") / "versions"


class Trouble(StrEnum):
    """Why it cannot be worked with, in words that tell nothing of where it is."""

    UNREACHABLE = "unreachable"
    BUSY = "busy"
    LOGIN_REFUSED = "login refused"
    NOT_MIGRATED = "not migrated"
    OTHER_PREFIX = "other prefix"
    WRONG_ROLE = "wrong role"


class DatabaseNotReadyError(FillwireError):
    """The database cannot be worked with. The sentence says why and what to do; it may name the server."""

    def __init__(self, trouble: Trouble, sentence: str) -> None:
        self.trouble = trouble
        super().__init__(sentence)


async def require_ready(database: Database) -> None:
    """Raises DatabaseNotReadyError unless a statement is answered and the tables are as new as this code, or newer:
    while processes are replaced one by one, the old ones work on."""
    try:
        rows = await database.fetch("SELECT version_num FROM alembic_version")
    except asyncpg.InsufficientPrivilegeError:
        return  # A role that may not see it; its own tables tell the rest.
    except (UnavailableError, DBAPIError, asyncpg.PostgresError) as error:
        raise not_ready(error) or error from error.__cause__ or error
    revision, newest = max((str(row["version_num"]) for row in rows), default=""), newest_revision()
    if not revision:
        raise _without_tables()
    if revision < newest:
        raise DatabaseNotReadyError(
            Trouble.NOT_MIGRATED,
            f"The database's tables are older than this program: at {revision}, {newest} is needed. Run `{MIGRATE}`.",
        )


def newest_revision() -> str:
    """The newest migration's number. A migration's file is named by it, so that no process has to load Alembic."""
    return max(module.name for module in pkgutil.iter_modules([str(_VERSIONS)])).partition("_")[0]


def not_ready(error: Exception) -> DatabaseNotReadyError | None:
    """What a failed call or a failed connection says about the database; None when it is about something else."""
    cause = error.__cause__ if isinstance(error, UnavailableError) else error
    if not isinstance(cause, Exception) or sqlstate(cause) == TOO_MANY_CONNECTIONS:
        return DatabaseNotReadyError(Trouble.BUSY, "PostgreSQL does not answer in time, or has no connection left.")
    if sqlstate(cause) == UNDEFINED_TABLE:
        return _without_tables()
    if sqlstate(cause).startswith(LOGIN_REFUSED):
        sentence = f"PostgreSQL refuses the login: {_said(cause)}. Correct the user, password or name in DATABASE_URL."
        return DatabaseNotReadyError(Trouble.LOGIN_REFUSED, sentence)
    if is_unavailability(cause):
        sentence = f"PostgreSQL cannot be reached: {_said(cause)}. Start it, or correct the address in DATABASE_URL."
        return DatabaseNotReadyError(Trouble.UNREACHABLE, sentence)
    return None


def _said(error: Exception) -> str:
    driver = error.orig if isinstance(error, DBAPIError) else error
    return str(driver) or ("no answer in time" if isinstance(driver, TimeoutError) else type(driver).__name__)


def _without_tables() -> DatabaseNotReadyError:
    return DatabaseNotReadyError(Trouble.NOT_MIGRATED, f"The database has no tables of Fillwire yet. Run `{MIGRATE}`.")
