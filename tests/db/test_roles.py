"""The roles of an installation: created, with their tables and grants, by any permitted login, and repeatable."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from db.columns import metadata
from db.migrate import upgrade
from db.role_statements import RolesError, RoleSetup, role_names
from db.roles import ALL, TABLE_ACCESS, Role
from db.tables import orders
from runtime.commands.role_script import show
from tests.support.dumps import PROGRAM_TIMEOUT_SECONDS
from tests.support.servers import PostgresServer
from tools.devstack.installations import find_postgres

PASSWORDS = {role: f"password-of-{role}" for role in Role}
ADMIN = "managed_admin"


@pytest.fixture
async def empty_database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Return the superuser's URL of a database without tables, whose roles begin with its name."""
    url = await postgres_server.create_database()
    yield url
    await postgres_server.drop_database(url)
    await _drop_roles(postgres_server.url, prefix=_name(url))


def test_every_table_and_column_with_privileges_exists_and_every_table_is_named() -> None:
    unknown = [
        (table, role, column)
        for table, roles in TABLE_ACCESS.items()
        if table != "alembic_version"
        for role, access in roles.items()
        for columns in (access.select, access.insert, access.update)
        for column in columns
        if columns is not ALL and column not in metadata.tables[table].columns
    ]

    assert orders.name in metadata.tables
    assert set(TABLE_ACCESS) == {*metadata.tables, "alembic_version"}
    assert unknown == []


@pytest.mark.parametrize("prefix", ["", "with-dash", 'quote"', "pass'word", "$$", "ä", "a" * 60])
def test_a_prefix_that_cannot_begin_names_is_refused(prefix: str) -> None:
    with pytest.raises(RolesError, match="DATABASE_ROLE_PREFIX"):
        role_names(prefix)


async def test_tables_of_a_superuser_become_the_owners_and_keep_their_rows(empty_database: str) -> None:
    await asyncio.to_thread(upgrade, empty_database)
    superuser = await asyncpg.connect(empty_database)
    await superuser.execute("INSERT INTO accounts (id, sequence) VALUES ('alice', 7)")

    for _ in range(2):
        await asyncio.to_thread(upgrade, empty_database, roles=RoleSetup(passwords=PASSWORDS))

    assert await _owners(superuser) == {f"{_name(empty_database)}_owner"}
    api = await asyncpg.connect(_login(empty_database, Role.API))
    assert await api.fetchval("SELECT sequence FROM accounts") == 7
    await asyncio.gather(api.close(), superuser.close())


async def test_only_an_owner_migrates_and_revokes_manual_grants(empty_database: str) -> None:
    await asyncio.to_thread(upgrade, empty_database, roles=RoleSetup(passwords=PASSWORDS))
    owner, prefix = await asyncpg.connect(_login(empty_database, Role.OWNER)), _name(empty_database)
    await owner.execute(f"GRANT ALL ON orders TO {prefix}_api; GRANT SELECT ON orders TO PUBLIC")
    await owner.execute(f"REVOKE ALL ON executions FROM {prefix}_ingest")

    await asyncio.to_thread(upgrade, _login(empty_database, Role.OWNER), roles=RoleSetup())

    (privileges,) = await owner.fetch(
        "SELECT has_table_privilege($1, 'orders', 'DELETE'), has_table_privilege($2, 'executions', 'INSERT')",
        f"{prefix}_api",
        f"{prefix}_ingest",
    )
    assert tuple(privileges) == (False, True)
    await owner.close()


async def test_settings_that_a_role_changed_for_itself_are_reset(empty_database: str) -> None:
    """Every role may: a compromised process could leave them for all of its kind."""
    await asyncio.to_thread(upgrade, empty_database, roles=RoleSetup(passwords=PASSWORDS))
    taken_over = await asyncpg.connect(_login(empty_database, Role.API))
    await taken_over.execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
    await taken_over.execute(
        f"ALTER ROLE CURRENT_USER IN DATABASE {_name(empty_database)} SET statement_timeout = 0; "
        f"ALTER ROLE CURRENT_USER IN DATABASE {_name(empty_database)} SET search_path = nowhere"
    )
    await taken_over.close()

    await asyncio.to_thread(upgrade, empty_database, roles=RoleSetup(passwords=PASSWORDS))

    api = await asyncpg.connect(_login(empty_database, Role.API))
    names = ("default_transaction_read_only", "statement_timeout", "search_path")
    shown = [await api.fetchval(f"SHOW {name}") for name in names]
    await api.close()
    assert shown == ["off", "5s", '"$user", public']


async def test_the_first_user_of_a_managed_service_creates_the_roles_and_continues_to_work(
    postgres_server: PostgresServer, empty_database: str
) -> None:
    """It is no superuser: it may create roles, and owns the database and the tables of before."""
    superuser = await asyncpg.connect(empty_database)
    await superuser.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE PASSWORD 'admin'")
    await superuser.execute(f"ALTER DATABASE {_name(empty_database)} OWNER TO {ADMIN}")
    admin_url = _as_user(empty_database, ADMIN, "admin")
    await asyncio.to_thread(upgrade, admin_url)

    for _ in range(2):
        await asyncio.to_thread(upgrade, admin_url, roles=RoleSetup(passwords=PASSWORDS))

    admin = await asyncpg.connect(admin_url)
    worker = await asyncpg.connect(_login(empty_database, Role.WORKER))
    assert await _owners(superuser) == {f"{_name(empty_database)}_owner"}
    # Processes of the last release log in as this user until they are replaced.
    assert await admin.fetch("SELECT FROM orders") == []
    assert await worker.fetch("SELECT FROM orders FOR UPDATE") == []
    await asyncio.gather(admin.close(), worker.close(), superuser.close())
    await postgres_server.drop_database(empty_database)
    await _drop_roles(postgres_server.url, prefix=_name(empty_database))
    await _execute(postgres_server.url, f"DROP ROLE {ADMIN}")
    await _execute(postgres_server.url, f"CREATE DATABASE {_name(empty_database)}")


async def test_a_user_that_may_not_create_roles_is_referred_to_the_script_and_then_migrates(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = _name(empty_database)
    await _execute(empty_database, f"CREATE ROLE {prefix}_owner LOGIN PASSWORD 'password-of-owner'")
    owner_url = _login(empty_database, Role.OWNER)
    with pytest.raises(RolesError, match=f"missing: {prefix}_api, .*--print-roles"):
        await asyncio.to_thread(upgrade, owner_url, roles=RoleSetup())

    monkeypatch.setenv("MIGRATE_DATABASE_URL", owner_url)
    assert show() == 0
    script = capsys.readouterr().out
    # It prompts for each role's password twice.
    await _run_by_psql(empty_database, script, tmp_path, answers=[PASSWORDS[role] for role in Role for _ in range(2)])
    await asyncio.to_thread(upgrade, owner_url, roles=RoleSetup())

    assert "password-of-owner" not in script
    ingest = await asyncpg.connect(_login(empty_database, Role.INGEST))
    assert await _owners(ingest) == {f"{prefix}_owner"}
    assert await ingest.fetchval("SELECT has_table_privilege('executions', 'INSERT')")
    await ingest.close()


async def test_a_user_that_may_create_roles_but_not_change_others_gets_an_error(
    postgres_server: PostgresServer, empty_database: str
) -> None:
    await asyncio.to_thread(upgrade, empty_database, roles=RoleSetup(passwords=PASSWORDS))
    await _execute(empty_database, "CREATE ROLE other_admin LOGIN CREATEROLE PASSWORD 'admin'")
    await _execute(empty_database, f"GRANT CONNECT ON DATABASE {_name(empty_database)} TO other_admin")

    with pytest.raises(RolesError, match=r"other_admin may not make the roles: .*denied.*--print-roles"):
        await asyncio.to_thread(
            upgrade, _as_user(empty_database, "other_admin", "admin"), roles=RoleSetup(passwords=PASSWORDS)
        )

    await postgres_server.drop_database(empty_database)
    await _execute(postgres_server.url, "DROP ROLE other_admin")
    await _execute(postgres_server.url, f"CREATE DATABASE {_name(empty_database)}")


async def test_no_password_is_ever_in_a_statement(postgres_server: PostgresServer, empty_database: str) -> None:
    await _execute(empty_database, f"ALTER DATABASE {_name(empty_database)} SET log_statement = 'all'")

    await asyncio.to_thread(upgrade, empty_database, roles=RoleSetup(passwords=PASSWORDS))

    logged = [line for line in postgres_server.server.output if "PASSWORD" in line and _name(empty_database) in line]
    assert len(logged) == len(PASSWORDS)
    assert all("SCRAM-SHA-256$" in line for line in logged)
    assert not any(password in line for line in postgres_server.server.output for password in PASSWORDS.values())


async def _owners(connection: "asyncpg.Connection[asyncpg.Record]") -> set[str]:
    rows = await connection.fetch(
        "SELECT DISTINCT pg_get_userbyid(c.relowner) AS owner FROM pg_class AS c "
        "WHERE c.relnamespace = 'public'::regnamespace "
        "UNION SELECT pg_get_userbyid(p.proowner) FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace"
    )
    return {row["owner"] for row in rows}


def _login(url: str, role: Role) -> str:
    return _as_user(url, f"{_name(url)}_{role}", PASSWORDS[role])


def _as_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}"))


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


async def _execute(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


async def _run_by_psql(url: str, script: str, folder: Path, *, answers: Sequence[str]) -> None:
    """Run the script like a person, with answers to its prompts."""
    (folder / "roles.sql").write_text(script)
    process = await asyncio.create_subprocess_exec(
        str(find_postgres().folder / "psql"),
        *("--no-psqlrc", "--quiet", f"--dbname={url}", f"--file={folder / 'roles.sql'}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Without a terminal it prompts on its standard streams.
    )
    output, _ = await asyncio.wait_for(
        process.communicate("".join(f"{answer}\n" for answer in answers).encode()), PROGRAM_TIMEOUT_SECONDS
    )
    assert process.returncode == 0, output.decode()


async def _drop_roles(url: str, *, prefix: str) -> None:
    await _execute(url, "; ".join(f"DROP ROLE IF EXISTS {name}" for name in role_names(prefix).values()))
