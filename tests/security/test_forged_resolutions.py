"""Resolutions of orders: none without an operator's request, and the applying process cannot change a request."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from db.database import Database
from db.resolutions import PostgresResolutions
from domain.model.resolutions import Reread
from tests.support.postgres_stores import make_store
from tests.support.resolving import asked
from tests.support.store_driver import Clerk
from tools.devstack.database_roles import role_url

NEW_ROW = """
INSERT INTO resolutions (id, order_id, subject, client_request_id, action, arguments, reason, actor)
VALUES (gen_random_uuid(), gen_random_uuid(), 'olga', 'r', 'ORDER_ENDED', '{}', 'forged', 'olga')
"""


@pytest.fixture(params=["api", "worker", "ingest", "operator"])
async def login(
    request: pytest.FixtureRequest, emptied_database_url: str
) -> AsyncIterator[tuple[str, asyncpg.Connection]]:
    """Return a process's role, and its connection."""
    connection = await asyncpg.connect(role_url(emptied_database_url, request.param))
    yield request.param, connection
    await connection.close()


async def refused(connection: asyncpg.Connection, statement: str, *arguments: object) -> bool:
    try:
        await connection.execute(statement, *arguments)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def test_only_roles_used_by_people_store_a_request(login: tuple[str, asyncpg.Connection]) -> None:
    role, connection = login

    assert await refused(connection, NEW_ROW) is (role in {"worker", "ingest"})


async def test_only_the_operators_login_stores_a_request_of_a_user_of_the_operating_system(
    login: tuple[str, asyncpg.Connection],
) -> None:
    role, connection = login

    assert await refused(connection, NEW_ROW.replace("'olga')", "'os:root@desk')")) is (role != "operator")


@pytest.mark.parametrize("column", ["actor", "subject", "reason", "action", "arguments", "order_id", "asked_at"])
async def test_no_role_changes_actor_action_and_reason_of_a_request(
    login: tuple[str, asyncpg.Connection], column: str
) -> None:
    _, connection = login

    assert await refused(connection, f"UPDATE resolutions SET {column} = {column}")  # noqa: S608 - our own names
    assert await refused(connection, "DELETE FROM resolutions")


async def test_only_a_worker_completes_a_request_and_none_but_a_stored_one(
    login: tuple[str, asyncpg.Connection],
) -> None:
    role, connection = login
    complete = "SELECT append_resolution_action($1, '{}', '{}')"

    is_refused = await refused(connection, complete, uuid7())

    assert is_refused is (role != "worker")
    assert is_refused or await connection.fetchval(complete, uuid7()) is None
    assert await connection.fetchval("SELECT count(*) FROM resolutions") == 0 if role != "ingest" else True


async def test_a_worker_appends_requested_actions_and_cannot_append_anything_else(
    database: Database, emptied_database_url: str
) -> None:
    (order_id,) = await Clerk(make_store(database)).store(1)
    new = asked(order_id, Reread(), reason="the real reason")
    await PostgresResolutions(database).add(new)
    worker = await asyncpg.connect(role_url(emptied_database_url, "worker"))
    try:
        assert await refused(
            worker,
            "SELECT append_operator_action($1, 'eve', NULL, NULL, 'X', NULL, NULL, 'forged', NULL, NULL)",
            uuid7(),
        )
        first = await worker.fetchval("SELECT append_resolution_action($1, '{}', '{}')", new.id)
        second = await worker.fetchval("SELECT append_resolution_action($1, '{}', '{}')", new.id)
    finally:
        await worker.close()

    rows = await database.fetch("SELECT sequence, actor, action, reason, account_id FROM operator_actions")
    assert [tuple(dict(row).values()) for row in rows] == [(first, "olga", "ORDER_REREAD", "the real reason", "alice")]  # type: ignore[call-overload]  # asyncpg's rows are mappings
    assert second is None
