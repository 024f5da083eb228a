"""Whether the database is usable: it answers, accepts the login, and has this code's tables."""

import pkgutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import asyncpg
from sqlalchemy.exc import DBAPIError

from db.database import Database
from db.failures import is_unavailability, sqlstate, unavailable
from domain.model.errors import FillwireError, UnavailableError, UnavailableReason

MIGRATE = "python -m runtime migrate"
UNDEFINED_TABLE = "42P01"
LOGIN_REFUSED = ("28", "3D")
"""SQLSTATE classes: a wrong user or password, and a database that does not exist."""

_LOOK = "SELECT version_num, current_setting('transaction_read_only')::bool AS is_read_only FROM alembic_version"
_VERSIONS = Path(__file__).with_name("migrations") / "versions"


class Trouble(StrEnum):
    """The reason why it is not usable, in words without its address."""

    UNREACHABLE = UnavailableReason.UNREACHABLE
    REFUSED = UnavailableReason.REFUSED
    BUSY = UnavailableReason.BUSY
    READ_ONLY = UnavailableReason.READ_ONLY
    DISK_FULL = UnavailableReason.DISK_FULL
    FAILING = UnavailableReason.FAILING
    LOGIN_REFUSED = "login refused"
    NOT_MIGRATED = "not migrated"
    OTHER_PREFIX = "other prefix"
    WRONG_ROLE = "wrong role"


_SENTENCES: Mapping[Trouble, str] = {
    Trouble.UNREACHABLE: "cannot be reached: {said}. Start it, or correct the address in DATABASE_URL.",
    Trouble.REFUSED: "refuses the connection: {said}. Correct DATABASE_URL, or what it connects to.",
    Trouble.LOGIN_REFUSED: "refuses the login: {said}. Correct the user, password or name in DATABASE_URL.",
    Trouble.BUSY: "does not answer in time, or has no connection left. {said}",
    Trouble.READ_ONLY: "is read only: {said}. Connect to the primary (target_session_attrs=read-write finds it among "
    "several hosts), or end what made it read only.",
    Trouble.DISK_FULL: "has no room left on its disk: {said}. Make room.",
    Trouble.FAILING: "cannot use its files: {said}. See its own log.",
}


class DatabaseNotReadyError(FillwireError):
    """The database is not usable. The message has the reason and the fix; it may name the server."""

    def __init__(self, trouble: Trouble, sentence: str) -> None:
        self.trouble = trouble
        super().__init__(sentence)


async def require_ready(database: Database) -> None:
    """Raise DatabaseNotReadyError unless a statement is answered and the tables have this code's revision, or a
    newer one: while processes are replaced one by one, the old ones continue.
    """
    try:
        rows = await database.fetch(_LOOK)
        await database.require_room()
    except asyncpg.InsufficientPrivilegeError:
        return  # A role that may not read it; its own tables show the rest.
    except (UnavailableError, DBAPIError, asyncpg.PostgresError) as error:
        raise not_ready(error) or error from error.__cause__ or error
    if any(row["is_read_only"] for row in rows):
        said = "transactions may not write"
        raise DatabaseNotReadyError(Trouble.READ_ONLY, f"PostgreSQL {_SENTENCES[Trouble.READ_ONLY].format(said=said)}")
    revision, newest = max((str(row["version_num"]) for row in rows), default=""), newest_revision()
    if not revision:
        raise _without_tables()
    if revision < newest:
        raise DatabaseNotReadyError(
            Trouble.NOT_MIGRATED,
            f"The database's tables are older than this program: at {revision}, {newest} is needed. Run `{MIGRATE}`.",
        )


def newest_revision() -> str:
    """Return the newest migration's number. A migration's file is named by it, so that no process has to load
    Alembic.
    """
    return max(module.name for module in pkgutil.iter_modules([str(_VERSIONS)])).partition("_")[0]


def not_ready(error: Exception) -> DatabaseNotReadyError | None:
    """Return what a failed call or connection shows about the database; None when it is about something else."""
    cause = error.__cause__ if isinstance(error, UnavailableError) else error
    if not isinstance(cause, Exception):
        return DatabaseNotReadyError(Trouble.BUSY, f"PostgreSQL {_SENTENCES[Trouble.BUSY].format(said='')}")
    if sqlstate(cause) == UNDEFINED_TABLE:
        return _without_tables()
    if sqlstate(cause).startswith(LOGIN_REFUSED):
        trouble = Trouble.LOGIN_REFUSED
    elif is_unavailability(cause):
        trouble = Trouble(unavailable(cause).reason)
    else:
        return None
    return DatabaseNotReadyError(trouble, f"PostgreSQL {_SENTENCES[trouble].format(said=_said(cause))}")


def _said(error: Exception) -> str:
    driver = error.orig if isinstance(error, DBAPIError) else error
    text = str(driver) or ("no answer in time" if isinstance(driver, TimeoutError) else type(driver).__name__)
    return f"{text} (SQLSTATE {code})" if (code := sqlstate(error)) else text


def _without_tables() -> DatabaseNotReadyError:
    return DatabaseNotReadyError(Trouble.NOT_MIGRATED, f"The database has no tables of Fillwire yet. Run `{MIGRATE}`.")
