"""The time-outs of a session: a role's own, where it has them, and else the process's."""

from collections.abc import Mapping

import asyncpg
import pytest

from db.engine import open_database
from db.session_limits import SessionLimits
from tools.devstack.database_roles import role_url

NAMES = sorted(SessionLimits().role_settings)
OURS = {
    "client_connection_check_interval": "500ms",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
    "lock_timeout": "1500ms",
    "statement_timeout": "5s",
}


async def limits_of(url: str) -> Mapping[str, tuple[str, str]]:
    """Return the limits in a session of a process, and their sources."""
    async with open_database(url, application_name="test") as database:
        rows = await database.fetch(
            "SELECT s.name, current_setting(s.name) AS value, s.source FROM pg_settings AS s WHERE s.name = ANY($1)",
            NAMES,
        )
    return {row["name"]: (row["value"], row["source"]) for row in rows}


async def test_a_role_of_ours_brings_its_limits_and_its_sessions_have_no_state(database_url: str) -> None:
    for role in ("api", "worker", "ingest", "operator"):
        found = await limits_of(role_url(database_url, role))

        assert found == {name: (value, "user") for name, value in OURS.items()}


async def test_a_user_without_limits_gets_those_of_the_process(database_url: str) -> None:
    assert await limits_of(database_url) == {name: (value, "session") for name, value in OURS.items()}


@pytest.mark.parametrize(("of_database", "holds"), [("2min", ("5s", "session")), ("200ms", ("200ms", "database"))])
async def test_the_shorter_limit_of_the_database_and_the_process_holds(
    own_database_url: str, of_database: str, holds: tuple[str, str]
) -> None:
    connection = await asyncpg.connect(own_database_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET statement_timeout = '{of_database}'")
    await connection.close()

    assert (await limits_of(own_database_url))["statement_timeout"] == holds
