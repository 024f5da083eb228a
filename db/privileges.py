"""Whether the login of a process has the privileges that it needs (`db.roles`): one query, at the start and at each
check.

A missing table or column is ignored: while processes are replaced, tables may be newer than this code.
"""

from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

from db.database import Database
from db.failures import sqlstate
from db.readiness import DatabaseNotReadyError, Trouble
from db.role_statements import privileges_of
from db.roles import ALL, FUNCTIONS, TABLE_ACCESS, Role

ALLOWED_TO_ALL_WHO_WORK = "alembic_version"
"""`require_ready` works without it."""

INSUFFICIENT_PRIVILEGE = "42501"

_OTHER_ROLE = (
    "Set DATABASE_URL to the role that ends with _{role}, or run `python -m runtime migrate` to grant what it lacks."
)

MISSING = """
SELECT current_user AS login, n.privilege || ' on ' || n.name || coalesce('.' || n.column_name, '') AS missing
FROM unnest($1::text[], $2::text[], $3::text[]) AS n (name, column_name, privilege)
LEFT JOIN pg_attribute AS a ON a.attrelid = to_regclass(n.name) AND a.attname = n.column_name AND NOT a.attisdropped
WHERE NOT CASE
    WHEN n.privilege = 'EXECUTE' THEN has_function_privilege(to_regprocedure(n.name)::oid, n.privilege)
    WHEN n.column_name IS NULL THEN has_table_privilege(to_regclass(n.name)::oid, n.privilege)
    ELSE has_column_privilege(a.attrelid, a.attnum, n.privilege)
END
LIMIT 1
"""


def wrong_role(error: BaseException, role: Role) -> DatabaseNotReadyError | None:
    """Return what to do about a statement that the login may not run; None when the error is about something else."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # From a task group, whose message adds no information.
    if not isinstance(error, Exception) or sqlstate(error) != INSUFFICIENT_PRIVILEGE:
        return None
    driver = error.orig if isinstance(error, DBAPIError) else error
    return DatabaseNotReadyError(
        Trouble.WRONG_ROLE,
        f"The role of DATABASE_URL may not do this ({driver}). {_OTHER_ROLE.format(role=role)}",
    )


async def require_privileges(database: Database, role: Role) -> None:
    """Raise DatabaseNotReadyError when the login lacks a privilege of the role, and UnavailableError."""
    names, columns, privileges = zip(*_needed(role), strict=True)
    for row in await database.fetch(MISSING, names, columns, privileges):
        raise DatabaseNotReadyError(
            Trouble.WRONG_ROLE,
            f"The role {row['login']} of DATABASE_URL lacks {row['missing']}, which this process needs. "
            f"{_OTHER_ROLE.format(role=role)}",
        )


def _needed(role: Role) -> Iterator[tuple[str, str | None, str]]:
    """Yield name, column (None: all of them) and privilege."""
    for table, roles in TABLE_ACCESS.items():
        if role not in roles or table == ALLOWED_TO_ALL_WHO_WORK:
            continue
        for privilege, columns in privileges_of(roles[role]):
            for column in columns:
                yield table, None if columns is ALL else column, privilege
    for function, callers in FUNCTIONS.items():
        if role in callers:
            yield function, None, "EXECUTE"
