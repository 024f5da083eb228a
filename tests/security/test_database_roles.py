"""A compromised process: its login to PostgreSQL allows nothing beyond its work."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import asyncpg
import pytest

from db.roles import ALL, FUNCTIONS, PROCESS_ROLES, TABLE_ACCESS, Access, Columns, Role
from tests.support.migrated import migrate
from tests.support.servers import PostgresServer
from tools.devstack.database_roles import ROLE_PREFIX, role_url

LOGINS = tuple(str(role) for role in PROCESS_ROLES)
# An addition of PostgreSQL 17 is refused as a keyword before.
TABLE_PRIVILEGES = ("DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
FORBIDDEN = {
    "run a program": "COPY orders TO PROGRAM 'cat'",
    "read a program": "COPY instruments FROM PROGRAM 'id'",
    "read a file": "COPY instruments FROM '/etc/passwd'",
    "write a file": "COPY (SELECT 1) TO '/tmp/fillwire'",
    "read a file by a function": "SELECT pg_read_file('/etc/passwd')",
    "import a file": "SELECT lo_import('/etc/passwd')",
    "store what no table holds": "SELECT lo_from_bytea(0, 'x')",
    "create a large object": "SELECT lo_create(0)",
    "create a large object without a number": "SELECT lo_creat(-1)",
    "make a table": "CREATE TABLE mine (id int)",
    "make a temporary table": "CREATE TEMP TABLE mine (id int)",
    "make a schema": "CREATE SCHEMA mine",
    "make a function": "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "make a database": "CREATE DATABASE mine",
    "make a role": "CREATE ROLE mine",
    "make a trigger": "CREATE TRIGGER mine AFTER UPDATE ON orders EXECUTE FUNCTION tsvector_update_trigger()",
    "make an index": "CREATE INDEX mine ON orders (symbol)",
    "change a table": "ALTER TABLE orders ADD COLUMN mine int",
    "drop a constraint": "ALTER TABLE orders DROP CONSTRAINT orders_pk",
    "drop a table": "DROP TABLE orders",
    "drop a function": "DROP FUNCTION wait_for_orders_before_halts()",
    "change a function": "ALTER FUNCTION wait_for_orders_before_halts() RESET ALL",
    "empty a table": "TRUNCATE orders",
    "delete orders": "DELETE FROM orders",
    "delete executions": "DELETE FROM executions",
    "delete the history": "DELETE FROM order_changes",
    "change the history": "UPDATE order_changes SET status = 'FILLED'",
    "move an execution to another order": "UPDATE executions SET order_id = gen_random_uuid()",
    "rename an execution": "UPDATE executions SET venue_execution_id = 'another'",
    "change what was asked for": "UPDATE orders SET quantity = 1",
    "change whose order it is": "UPDATE orders SET account_id = 'mallory'",
    "change an order's name at the venue": "UPDATE orders SET venue_client_order_id = 'another'",
    "change who halted": "UPDATE trading_halts SET halted_by = 'nobody'",
    "delete halts": "DELETE FROM trading_halts",
    "change the prefix": "UPDATE installation SET prefix = 'other'",
    "change the revision": "UPDATE alembic_version SET version_num = '9999'",
    "lock everybody out": "DO $$ BEGIN LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; END $$",
    "become the owner": f"SET ROLE {ROLE_PREFIX}_owner",
    "become the superuser": "SET SESSION AUTHORIZATION fillwire",
    "become a member": f"GRANT {ROLE_PREFIX}_owner TO CURRENT_USER",
    "become a superuser": "ALTER ROLE CURRENT_USER SUPERUSER",
    "change the server": "ALTER SYSTEM SET archive_command = 'id'",
    "change the database": "ALTER DATABASE {database} SET statement_timeout = 0",
    "reload the server": "SELECT pg_reload_conf()",
    "read password verifiers": "SELECT rolpassword FROM pg_authid",
    "end another's session": "SELECT pg_terminate_backend({other_pid})",
    "cancel another's statement": "SELECT pg_cancel_backend({other_pid})",
}
FORBIDDEN_ONE = [
    ("api", "UPDATE orders SET filled_quantity = 1"),
    ("api", "UPDATE orders SET rank = 5"),
    ("api", "UPDATE orders SET attempt = attempt + 1"),
    ("api", "INSERT INTO orders (filled_quantity) VALUES (1)"),
    ("api", "INSERT INTO executions (id) VALUES (gen_random_uuid())"),
    ("api", "INSERT INTO order_changes (execution_quantity) VALUES (1)"),
    ("api", "UPDATE executions SET fill_price = 1"),
    ("api", "UPDATE instruments SET tradable = true"),
    ("api", "UPDATE instrument_prices SET price = 1"),
    ("api", "UPDATE venue_gates SET probe_at = NULL"),
    (
        "api",
        """
        SELECT append_operator_action(
            gen_random_uuid(), 'os:root@db', NULL, NULL, 'TRADING_RESUMED', NULL, NULL, 'x', NULL, NULL
        )
        """,
    ),
    ("api", "SELECT FROM rate_budgets"),
    ("api", "SELECT FROM dead_letters"),
    ("api", "SELECT FROM stream_positions"),
    ("worker", "INSERT INTO orders (id) VALUES (gen_random_uuid())"),
    ("worker", "INSERT INTO trading_halts (id) VALUES (gen_random_uuid())"),
    ("worker", "UPDATE trading_halts SET resumed_at = now(), resumed_by = 'w', resume_reason = 'w'"),
    ("worker", "SELECT FROM account_limits"),
    ("worker", "SELECT raw FROM dead_letters"),
    ("worker", "UPDATE stream_positions SET epoch = 0"),
    ("worker", "SELECT wait_for_orders_before_halts()"),
    ("ingest", "INSERT INTO orders (id) VALUES (gen_random_uuid())"),
    ("ingest", "UPDATE orders SET attempt = attempt + 1"),
    ("ingest", "SELECT FROM trading_halts"),
    ("ingest", "SELECT FROM account_limits"),
    ("operator", "INSERT INTO orders (id) VALUES (gen_random_uuid())"),
    ("operator", "UPDATE orders SET status = 'FILLED'"),
    ("operator", "UPDATE accounts SET sequence = 0"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """A session of each role, and one of the superuser."""

    by_role: Mapping[str, asyncpg.Connection]
    superuser: asyncpg.Connection


@pytest.fixture(scope="module")
async def logins(postgres_server: PostgresServer, migrated_template: str) -> AsyncIterator[Logins]:
    """Sessions in a database of their own, with the rights of a database, which copies of a template do not have."""
    url = await postgres_server.create_database(template=migrated_template)
    await asyncio.to_thread(migrate, url)
    superuser = await asyncpg.connect(url)
    by_role = {role: await asyncpg.connect(role_url(url, role)) for role in LOGINS}
    yield Logins(by_role=by_role, superuser=superuser)
    for connection in (superuser, *by_role.values()):
        await connection.close()
    await postgres_server.drop_database(url)


@pytest.mark.parametrize("role", LOGINS)
async def test_a_role_is_refused_everything_else(logins: Logins, role: str) -> None:
    session = logins.by_role[role]
    names = {
        "database": await logins.superuser.fetchval("SELECT current_database()"),
        "other_pid": logins.superuser.get_server_pid(),
    }

    allowed = [what for what, statement in FORBIDDEN.items() if not await _refused(session, statement.format(**names))]

    assert allowed == []


async def test_each_role_is_refused_the_work_of_the_others(logins: Logins) -> None:
    allowed = [
        (role, statement) for role, statement in FORBIDDEN_ONE if not await _refused(logins.by_role[role], statement)
    ]

    assert allowed == []


@pytest.mark.parametrize("role", LOGINS)
async def test_the_privileges_of_a_role_are_exactly_those_of_the_table_of_access(logins: Logins, role: str) -> None:
    rows = await logins.superuser.fetch(
        """
        SELECT c.relname AS table, a.attname AS column, p.privilege
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS p (privilege)
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i', 'I')
            AND has_column_privilege($1, c.oid, a.attnum, p.privilege)
        """,
        f"{ROLE_PREFIX}_{role}",
    )
    columns = await _columns(logins)
    expected = {
        (table, column, privilege)
        for table, roles in TABLE_ACCESS.items()
        for privilege, named in _named(roles.get(Role(role), Access())).items()
        for column in (columns[table] if named is ALL else named)
    }

    assert {(row["table"], row["column"], row["privilege"]) for row in rows} == expected


@pytest.mark.parametrize("role", LOGINS)
async def test_a_role_has_no_privilege_of_a_whole_table_but_to_delete_what_it_may(logins: Logins, role: str) -> None:
    rows = await logins.superuser.fetch(
        """
        SELECT c.relname AS table, p.privilege
        FROM pg_class AS c CROSS JOIN unnest($2::text[]) AS p (privilege)
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i', 'I')
            AND has_table_privilege($1, c.oid, p.privilege)
        """,
        f"{ROLE_PREFIX}_{role}",
        TABLE_PRIVILEGES,
    )

    expected = {(table, "DELETE") for table, roles in TABLE_ACCESS.items() if roles.get(Role(role), Access()).delete}
    assert {(row["table"], row["privilege"]) for row in rows} == expected


async def test_roles_have_no_attributes_no_memberships_and_no_right_in_the_schema_or_database(logins: Logins) -> None:
    names = [f"{ROLE_PREFIX}_{role}" for role in Role]
    attributes = await logins.superuser.fetch(
        """
        SELECT r.rolname FROM pg_roles AS r WHERE r.rolname = ANY($1) AND (
            r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
            OR EXISTS (SELECT FROM pg_auth_members AS m WHERE m.member = r.oid)
            OR has_database_privilege(r.rolname, current_database(), 'CREATE, TEMP')
            OR has_schema_privilege(r.rolname, 'public', 'CREATE') AND r.rolname NOT LIKE '%\\_owner'
        )
        """,
        names,
    )
    callers = await logins.superuser.fetch(
        """
        SELECT p.oid::regprocedure::text AS function, r.rolname AS role
        FROM pg_proc AS p CROSS JOIN pg_roles AS r
        WHERE p.pronamespace = 'public'::regnamespace AND r.rolname = ANY($1)
            AND r.oid <> p.proowner AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
        """,
        names,
    )

    assert attributes == []
    assert {(row["function"], row["role"]) for row in callers} == {
        (function, f"{ROLE_PREFIX}_{role}") for function, roles in FUNCTIONS.items() for role in roles
    }


async def test_the_lock_of_a_claim_ends_no_halt(logins: Logins) -> None:
    await logins.superuser.execute(
        "INSERT INTO trading_halts (id, account_id, halted_at, halted_by, halt_reason) "
        "VALUES (gen_random_uuid(), '', now(), 'olga', 'drill')"
    )

    with pytest.raises(asyncpg.CheckViolationError, match="resumed"):
        await logins.by_role["worker"].execute("UPDATE trading_halts SET resume_reason = 'over'")


async def test_a_user_without_a_role_cannot_connect_to_the_database(logins: Logins) -> None:
    await logins.superuser.execute("CREATE ROLE stranger")

    entered = await logins.superuser.fetchval(
        "SELECT has_database_privilege('stranger', current_database(), 'CONNECT')"
    )
    seen = await logins.superuser.fetchval("SELECT has_schema_privilege('stranger', 'public', 'USAGE')")

    await logins.superuser.execute("DROP ROLE stranger")
    assert (entered, seen) == (False, False)


async def _refused(session: asyncpg.Connection, statement: str) -> bool:
    """Return whether PostgreSQL refuses the statement because of a missing privilege, and for no other reason."""
    try:
        await session.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    except asyncpg.PostgresError:
        return False
    return False


async def _columns(logins: Logins) -> Mapping[str, list[str]]:
    rows = await logins.superuser.fetch(
        "SELECT table_name, array_agg(column_name::text) AS columns FROM information_schema.columns "
        "WHERE table_schema = 'public' GROUP BY 1"
    )
    return {row["table_name"]: row["columns"] for row in rows}


def _named(access: Access) -> Mapping[str, Columns]:
    return {"SELECT": access.select, "INSERT": access.insert, "UPDATE": access.update}
