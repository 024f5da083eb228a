"""`python -m runtime migrate --print-roles`: the roles as a script of psql, where Fillwire may not make them itself."""

import sys
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from db.role_statements import RolesError, making_roles, quoted, role_names
from runtime.settings import Settings, SettingsError, load_settings

EXIT_BAD_SETTINGS = 2


def show() -> int:
    """Print the script, for the database that MIGRATE_DATABASE_URL or DATABASE_URL names. Makes no connection.

    The exit code is 2 when the environment cannot be used, with the reason.
    """
    try:
        for line in _script(load_settings()):
            print(line)  # noqa: T201 - a command's output
    except (SettingsError, RolesError) as error:
        print(f"fillwire migrate --print-roles:\n{error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_BAD_SETTINGS
    return 0


def _script(settings: Settings) -> Iterator[str]:
    url = settings.migrate_database_url or settings.database_url
    database = "" if url is None else unquote(urlsplit(url.get_secret_value()).path.removeprefix("/"))
    if not database:
        raise SettingsError("Name the database: set MIGRATE_DATABASE_URL, or DATABASE_URL.")
    names = role_names(settings.database_role_prefix or database)
    yield f"-- Roles of Fillwire for the database {database}. Run with psql, connected to that database, as its owner"
    yield "-- with CREATEROLE, or as a superuser. May be run again. Grants are made by `python -m runtime migrate`."
    yield "\\set ON_ERROR_STOP on"
    yield "BEGIN;"
    for statement in making_roles(names, database=database, limits=settings.session_limits):
        yield f"{statement};"
    yield "COMMIT;"
    yield "-- Asks for each password, and sends only its SCRAM verifier."
    for name in names.values():
        yield f"\\password {quoted(name)}"
