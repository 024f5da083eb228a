"""The SQL that makes the roles of an installation, and grants them what `db.roles` says.

Every statement may be repeated. Making roles takes a connection that may create roles and owns the database (or is a
superuser); granting is the tables' owner's, after each migration.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from db.roles import ALL, FUNCTIONS, PROCESS_ROLES, TABLE_ACCESS, Access, Columns, Role
from db.session_limits import SessionLimits
from domain.model.errors import FillwireError

NAME_MAX_CHARACTERS = 63
"""PostgreSQL cuts longer identifiers."""


class RolesError(FillwireError):
    """The roles cannot be made or used; the sentence says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSetup:
    """The roles that a migration makes, if it may: their prefix (None: the database's name), those passwords that are
    to be set, and the time-outs of the processes' roles."""

    prefix: str | None = None
    passwords: Mapping[Role, str] = field(default_factory=dict)
    limits: SessionLimits = field(default_factory=SessionLimits)


def role_names(prefix: str) -> Mapping[Role, str]:
    """Return the roles' names: `PREFIX_api` and so on. Raises RolesError for a prefix that cannot begin them."""
    names = {role: f"{prefix}_{role}" for role in Role}
    if not prefix.replace("_", "").isalnum() or not prefix.isascii() or len(max(names.values())) > NAME_MAX_CHARACTERS:
        raise RolesError(f"Roles cannot begin with {prefix!r}: set DATABASE_ROLE_PREFIX, letters, digits and _ alone.")
    return names


def making_roles(names: Mapping[Role, str], *, database: str, limits: SessionLimits) -> Iterator[str]:
    """Yield what makes the roles, lets them and nobody else into the database, and gives the tables to their owner."""
    owner, everybody = quoted(names[Role.OWNER]), ", ".join(quoted(name) for name in names.values())
    for name in names.values():
        exists = f"EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}')"
        yield _block(f"IF NOT {exists} THEN CREATE ROLE {quoted(name)} LOGIN; END IF;")
    for role in PROCESS_ROLES:
        for setting, value in limits.role_settings.items():
            yield f"ALTER ROLE {quoted(names[role])} SET {setting} = '{value}'"
    # A superuser needs no membership. Others give their tables away only to a role that they could become.
    yield _block(
        f"IF NOT pg_has_role(current_user, '{names[Role.OWNER]}', 'USAGE') THEN GRANT {owner} TO CURRENT_USER; END IF;"
    )
    yield f"REVOKE ALL ON DATABASE {quoted(database)} FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {quoted(database)} TO {everybody}"
    yield "REVOKE ALL ON SCHEMA public FROM PUBLIC"
    yield f"GRANT USAGE ON SCHEMA public TO {everybody}"
    yield f"GRANT CREATE ON SCHEMA public TO {owner}"
    yield from _giving_to(names[Role.OWNER])


def _giving_to(owner: str) -> Iterator[str]:
    """Yield what gives our tables and functions to their owner. One that has them already is not locked."""
    tables = ", ".join(f"'{table}'" for table in TABLE_ACCESS)
    yield _block(
        f"""
        FOR owned IN
            SELECT c.oid::regclass AS name FROM pg_class AS c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN ({tables})
                AND c.relowner <> '{quoted(owner)}'::regrole
            ORDER BY c.relname = 'orders' DESC
        LOOP
            EXECUTE format('ALTER TABLE %s OWNER TO %I', owned.name, '{owner}');
        END LOOP;
        """,  # noqa: S608 - our own names
        declares="owned record",
    )
    for function in FUNCTIONS:
        yield _block(
            f"IF to_regprocedure('public.{function}') IS NOT NULL THEN "
            f"ALTER FUNCTION public.{function} OWNER TO {quoted(owner)}; END IF;"
        )


def granting(names: Mapping[Role, str]) -> Iterator[str]:
    """Yield what takes all privileges from everybody but the owner, and grants those of `db.roles`."""
    others = ", ".join(("PUBLIC", *(quoted(names[role]) for role in PROCESS_ROLES)))
    for table, roles in TABLE_ACCESS.items():
        yield f"REVOKE ALL ON TABLE {table} FROM {others}"
        for role, access in roles.items():
            for privileges in _privileges(access):
                yield f"GRANT {privileges} ON TABLE {table} TO {quoted(names[role])}"
    for function, callers in FUNCTIONS.items():
        yield f"REVOKE ALL ON FUNCTION {function} FROM {others}"
        for role in callers:
            yield f"GRANT EXECUTE ON FUNCTION {function} TO {quoted(names[role])}"
    yield "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"


def _privileges(access: Access) -> Iterator[str]:
    columns: Mapping[str, Columns] = {"SELECT": access.select, "INSERT": access.insert, "UPDATE": access.update}
    for privilege, of in columns.items():
        if of:
            yield privilege if of is ALL else f"{privilege} ({', '.join(of)})"
    if access.delete:
        yield "DELETE"


def quoted(name: str) -> str:
    """Return the name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _block(statements: str, *, declares: str = "") -> str:
    return f"DO $$ {f'DECLARE {declares}; ' if declares else ''}BEGIN {statements} END $$"
