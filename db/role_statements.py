"""The SQL that creates the roles of an installation, and grants them the privileges of `db.roles`.

Every statement may be repeated. Creating roles requires a connection that may create roles and owns the database (or is
a superuser); granting is done by the tables' owner, after each migration.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from db.roles import ALL, FUNCTIONS, PROCESS_ROLES, TABLE_ACCESS, Access, Columns, Role
from db.session_limits import SessionLimits
from domain.model.errors import FillwireError

NAME_MAX_CHARACTERS = 63
"""PostgreSQL cuts longer identifiers."""


class RolesError(FillwireError):
    """The roles cannot be created or used; the message has the fix."""


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
        raise RolesError(f"Roles cannot begin with {prefix!r}: set DATABASE_ROLE_PREFIX, only letters, digits and _.")
    return names


def making_roles(names: Mapping[Role, str], *, database: str, limits: SessionLimits) -> Iterator[str]:
    """Yield the statements that create the roles, give only them access to the database, and give the tables to
    their owner.
    """
    owner, everybody = quoted(names[Role.OWNER]), ", ".join(quoted(name) for name in names.values())
    for name in names.values():
        exists = f"EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}')"
        yield _block(f"IF NOT {exists} THEN CREATE ROLE {quoted(name)} LOGIN; END IF;")
    for role in PROCESS_ROLES:
        # A role may change its own settings. Settings of a compromised process must not remain.
        yield f"ALTER ROLE {quoted(names[role])} RESET ALL"
        yield f"ALTER ROLE {quoted(names[role])} IN DATABASE {quoted(database)} RESET ALL"
        for setting, value in limits.role_settings.items():
            yield f"ALTER ROLE {quoted(names[role])} SET {setting} = '{value}'"
    # A superuser needs no membership. Other users can give their tables only to a role of which they are a member.
    yield _block(
        f"IF NOT pg_has_role(current_user, '{names[Role.OWNER]}', 'USAGE') THEN GRANT {owner} TO CURRENT_USER; END IF;"
    )
    yield f"REVOKE ALL ON DATABASE {quoted(database)} FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {quoted(database)} TO {everybody}"
    # Every role may create large objects, which no grant of a table limits. Only a superuser can revoke that.
    yield _block(
        "IF (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN "
        "REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC; END IF;"
    )
    yield "REVOKE ALL ON SCHEMA public FROM PUBLIC"
    yield f"GRANT USAGE ON SCHEMA public TO {everybody}"
    yield f"GRANT CREATE ON SCHEMA public TO {owner}"
    yield from _giving_to(names[Role.OWNER])


def _giving_to(owner: str) -> Iterator[str]:
    """Yield the statements that give our tables and functions to their owner. Those that it owns already are not
    locked.
    """
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
    """Yield the statements that revoke all privileges except the owner's, and grant those of `db.roles`."""
    others = ", ".join(("PUBLIC", *(quoted(names[role]) for role in PROCESS_ROLES)))
    for table, roles in TABLE_ACCESS.items():
        yield f"REVOKE ALL ON TABLE {table} FROM {others}"
        for role, access in roles.items():
            for privilege, columns in privileges_of(access):
                granted = privilege if columns is ALL else f"{privilege} ({', '.join(columns)})"
                yield f"GRANT {granted} ON TABLE {table} TO {quoted(names[role])}"
    for function, callers in FUNCTIONS.items():
        yield f"REVOKE ALL ON FUNCTION {function} FROM {others}"
        for role in callers:
            yield f"GRANT EXECUTE ON FUNCTION {function} TO {quoted(names[role])}"
    yield "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"


def privileges_of(access: Access) -> Iterator[tuple[str, Columns]]:
    """Yield each privilege and its columns; ALL: it is a privilege of the table."""
    columns = {"SELECT": access.select, "INSERT": access.insert, "UPDATE": access.update}
    yield from ((privilege, of) for privilege, of in columns.items() if of)
    if access.delete:
        yield "DELETE", ALL


def quoted(name: str) -> str:
    """Return the name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _block(statements: str, *, declares: str = "") -> str:
    return f"DO $$ {f'DECLARE {declares}; ' if declares else ''}BEGIN {statements} END $$"
